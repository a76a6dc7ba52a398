import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { WhyReport } from '../../src/schemas/why-report.ts'
import { withoutSettings } from '../agent-process.ts'
import { Daemon } from '../daemon.ts'
import type { Received } from './http-receive.ts'
import { type Hand, handAt } from './machine-process.ts'
import type { Place } from './network.ts'
import { type Usage, usageOf } from './process-usage.ts'
import type { HandSkills, Pulled } from './programs/machine-program.ts'
import type { MadeImage } from './programs/upstream-program.ts'

const HERE = '127.0.0.1'
const PORT = 5050
const ADMIN_PORT = 5051
/** Only what hangs takes so long, however busy the machine is. */
const READY_MS = 180_000
const ANSWER_MS = 60_000
const DHT_PORT = 49737
export const PEER_PORT = 5052
/** Exists only for the agents: what is pulled from it has come through them. */
export const REGISTRY = 'registry.test'

/** What lets agents find each other. */
export interface Swarm {
  readonly secret: string
  /** `host:port` of DHT nodes that are there from the start. */
  readonly bootstrap: readonly string[]
  readonly zone?: string | undefined
}

export interface NodeOptions {
  /** The built entry point of the agent. */
  readonly entry: string
  /** For all that the agent keeps. */
  readonly folder: string
  /** `host:port` of the registry. */
  readonly upstream: string
  readonly tagTtl: string
  /** Undefined: an agent by itself. */
  readonly swarm: Swarm | undefined
  readonly flags: readonly string[]
}

/** A machine of the cluster: an agent at a place of its own, and a pair of hands beside it. */
export class ClusterNode {
  readonly place: Place
  readonly #options: NodeOptions
  readonly #hand: Hand
  #agent: Daemon | undefined
  #isUp = false

  constructor(place: Place, options: NodeOptions) {
    this.place = place
    this.#options = options
    this.#hand = handAt(place)
  }

  /** Resolves when it is ready to serve. Also after `stop` or `kill`, with what it has kept. */
  async start(swarm = this.#options.swarm): Promise<void> {
    const { entry, folder, upstream, tagTtl, flags } = this.#options
    await mkdir(folder, { recursive: true })
    const config = join(folder, 'config.yaml')
    await writeFile(
      config,
      `upstreams:\n  - namespace: ${REGISTRY}\n    host: ${upstream}\n    tls: false\n    tagTtl: ${tagTtl}\n`,
    )
    const peers = swarm === undefined ? [] : await this.#peerFlags(swarm)
    this.#agent = new Daemon(
      `the agent at ${this.place.label}`,
      'ip',
      [
        ...['netns', 'exec', this.place.namespace, process.execPath, entry, 'serve'],
        ...['--listen', `${HERE}:${PORT}`, '--admin', `${HERE}:${ADMIN_PORT}`],
        ...['--data', join(folder, 'data'), '--config', config],
        ...peers,
        ...flags,
      ],
      { env: withoutSettings() },
    )
    await this.#agent.ready(async () => (await this.ask('/readyz')).status === 200, READY_MS)
    this.#isUp = true
  }

  async #peerFlags({ secret, bootstrap, zone }: Swarm): Promise<string[]> {
    const file = join(this.#options.folder, 'secret')
    await writeFile(file, secret, { mode: 0o600 })
    const { address } = this.place
    return [
      ...['--peers-secret-file', file],
      ...bootstrap.flatMap((one) => ['--bootstrap', one]),
      ...['--dht', `${address}:${DHT_PORT}`],
      ...['--peer-listen', `${address}:${PEER_PORT}`],
      ...['--advertise', address],
      ...(zone === undefined ? [] : ['--zone', zone]),
    ]
  }

  get dht(): string {
    return `${this.place.address}:${DHT_PORT}`
  }

  /** The log of the agent that runs, or ran last. */
  get output(): string {
    return this.#agent?.output ?? ''
  }

  /** Pulls as the container runtime of this machine would. Rejects unless all of it has come. */
  async pull(image: MadeImage, options: PullOptions = {}): Promise<Pulled> {
    const pulled = await this.tryPull(image, options)
    if (pulled.wrong === undefined) return pulled
    throw new Error(
      `${this.place.label} has not got the whole image: ${pulled.wrong}\n${this.output.slice(-2000)}`,
    )
  }

  async tryPull(image: MadeImage, { hash = true, reference = image.tag, deadlineMs }: PullOptions = {}) {
    const { repository } = image
    const order = { host: HERE, port: PORT, registry: REGISTRY, repository, reference, hash }
    return await this.#hand.ask('pull', order, deadlineMs)
  }

  /** Straight from upstream, past the agent. */
  async pullFrom(upstream: string, image: MadeImage): Promise<Pulled> {
    const [host = '', port] = upstream.split(':')
    const { repository, tag } = image
    const order = { host, port: Number(port), registry: undefined, repository, reference: tag, hash: false }
    return await this.#hand.ask('pull', order)
  }

  /** Asks the agent's admin address. */
  async ask(path: string): Promise<Received> {
    return await this.#hand.ask('ask', { host: HERE, port: ADMIN_PORT, path, keep: true }, ANSWER_MS)
  }

  /** Asks the agent's registry API for something, timed. */
  async request(path: string, headers: Readonly<Record<string, string>> = {}): Promise<Received> {
    return await this.#hand.ask('ask', { host: HERE, port: PORT, path, headers, keep: true })
  }

  /** The sum over all labels of one of the agent's metrics. */
  async metric(name: string): Promise<number> {
    const { body } = await this.ask('/metrics')
    const lines = body?.toString().matchAll(new RegExp(`^${name}(?:\\{.*\\})? (\\S+)$`, 'gm')) ?? []
    return [...lines].reduce((sum, [, value]) => sum + Number(value), 0)
  }

  /** How many others it knows to be there. */
  async peers(): Promise<number> {
    return await this.metric('leat_peers_connected')
  }

  /** It is the one to say who brings this to whom. */
  async owns(digest: string): Promise<boolean> {
    const { body } = await this.ask(`/api/v1/why?subject=${encodeURIComponent(digest)}`)
    const { peers } = JSON.parse(body?.toString() ?? '') as WhyReport
    return peers?.owner.self === true
  }

  /** What a stranger at this place hears at the door of another. */
  knock(door: Parameters<HandSkills['knock']>[0]): ReturnType<HandSkills['knock']> {
    return this.#hand.ask('knock', door)
  }

  get pid(): number | undefined {
    return this.#agent?.pid
  }

  /** The agent was started and neither stopped nor killed since. */
  get isUp(): boolean {
    return this.#isUp
  }

  usage(): Usage {
    return usageOf(this.#agent?.pid)
  }

  /** Without a chance to say goodbye. */
  async kill(): Promise<void> {
    this.#isUp = false
    await this.#agent?.stop('SIGKILL')
  }

  /** Drains the agent. Its exit code. */
  async drain(): Promise<number | null | undefined> {
    this.#isUp = false
    return await this.#agent?.stop()
  }

  /** The whole machine. */
  async stop(): Promise<void> {
    await this.kill()
    await this.#hand.stop()
  }
}

export interface PullOptions {
  /** Check every byte; default: true. */
  readonly hash?: boolean
  /** Default: the image's tag. */
  readonly reference?: string
  readonly deadlineMs?: number
}
