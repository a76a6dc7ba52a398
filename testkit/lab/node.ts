import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { WhyReport } from '../../src/schemas/why-report.ts'
import { withoutSettings } from '../agent-process.ts'
import { Daemon } from '../daemon.ts'
import type { Received } from './http-receive.ts'
import { type MachineProcess, startMachineProcess } from './machine-process.ts'
import type { LabMachine } from './network.ts'
import { type Usage, usageOf } from './process-usage.ts'
import type { MachineTasks, Pulled } from './programs/machine-program.ts'
import type { MadeImage } from './programs/upstream-program.ts'

const LOOPBACK = '127.0.0.1'
const PORT = 5050
const ADMIN_PORT = 5051
/** Only what hangs takes so long, however busy the machine is. */
const READY_MS = 180_000
const ANSWER_MS = 60_000
const DHT_PORT = 49737
export const PEER_PORT = 5052
/** Only the agents know this registry, so an image that is pulled from it has come through an agent. */
export const REGISTRY = 'registry.test'

/** How agents find each other. */
export interface Swarm {
  readonly secret: string
  /** `host:port` of the DHT nodes to join at. */
  readonly bootstrap: readonly string[]
  readonly zone?: string | undefined
}

export interface NodeOptions {
  /** The built entry point of the agent. */
  readonly entry: string
  /** The folder of the agent's data and configuration. */
  readonly folder: string
  /** `host:port` of the registry. */
  readonly upstream: string
  readonly tagTtl: string
  /** Undefined for an agent without peers. */
  readonly swarm: Swarm | undefined
  readonly flags: readonly string[]
  /** More settings, in YAML. */
  readonly settings: string
}

/** A node of the cluster: a machine with an agent, and a process that acts as its container runtime. */
export class ClusterNode {
  readonly machine: LabMachine
  readonly #options: NodeOptions
  readonly #process: MachineProcess
  #agent: Daemon | undefined
  #isUp = false

  constructor(machine: LabMachine, options: NodeOptions) {
    this.machine = machine
    this.#options = options
    this.#process = startMachineProcess(machine)
  }

  /** Starts the agent, also again after `drain` or `kill` with the same data. Resolves when it is ready to serve. */
  async start(swarm = this.#options.swarm): Promise<void> {
    const { entry, folder, upstream, tagTtl, flags, settings } = this.#options
    await mkdir(folder, { recursive: true })
    const config = join(folder, 'config.yaml')
    await writeFile(
      config,
      `upstreams:\n  - namespace: ${REGISTRY}\n    host: ${upstream}\n    tls: false\n    tagTtl: ${tagTtl}\n${settings}`,
    )
    const peers = swarm === undefined ? [] : await this.#peerFlags(swarm)
    this.#agent = new Daemon(
      `the agent on ${this.machine.label}`,
      'ip',
      [
        ...['netns', 'exec', this.machine.namespace, process.execPath, entry, 'serve'],
        ...['--listen', `${LOOPBACK}:${PORT}`, '--admin', `${LOOPBACK}:${ADMIN_PORT}`],
        ...['--data', join(folder, 'data'), '--config', config],
        ...peers,
        ...flags,
      ],
      { env: withoutSettings() },
    )
    await this.#agent.ready(async () => (await this.requestAdmin('/readyz')).status === 200, READY_MS)
    this.#isUp = true
  }

  async #peerFlags({ secret, bootstrap, zone }: Swarm): Promise<string[]> {
    const file = join(this.#options.folder, 'secret')
    await writeFile(file, secret, { mode: 0o600 })
    const { address } = this.machine
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
    return `${this.machine.address}:${DHT_PORT}`
  }

  /** The log of the agent that was started last. */
  get output(): string {
    return this.#agent?.output ?? ''
  }

  /** Pulls as the container runtime of this machine would. Rejects unless all of the image has come. */
  async pull(image: MadeImage, options: PullOptions = {}): Promise<Pulled> {
    const pulled = await this.tryPull(image, options)
    if (pulled.error === undefined) return pulled
    throw new Error(
      `${this.machine.label} has not pulled the whole image: ${pulled.error}\n${this.output.slice(-2000)}`,
    )
  }

  async tryPull(image: MadeImage, { hash = true, reference = image.tag, deadlineMs }: PullOptions = {}) {
    const { repository } = image
    const request = { host: LOOPBACK, port: PORT, registry: REGISTRY, repository, reference, hash }
    return await this.#process.ask('pull', request, deadlineMs)
  }

  /** Pulls from upstream, without the agent. */
  async pullFrom(upstream: string, image: MadeImage): Promise<Pulled> {
    const [host = '', port] = upstream.split(':')
    const { repository, tag } = image
    const request = { host, port: Number(port), registry: undefined, repository, reference: tag, hash: false }
    return await this.#process.ask('pull', request)
  }

  /** Sends a request to the agent's admin address. */
  async requestAdmin(path: string): Promise<Received> {
    return await this.#process.ask(
      'request',
      { host: LOOPBACK, port: ADMIN_PORT, path, keep: true },
      ANSWER_MS,
    )
  }

  /** Sends a request to the agent's registry API. */
  async request(path: string, headers: Readonly<Record<string, string>> = {}): Promise<Received> {
    return await this.#process.ask('request', { host: LOOPBACK, port: PORT, path, headers, keep: true })
  }

  /** The sum of a metric of the agent over all its labels. */
  async metric(name: string): Promise<number> {
    const { body } = await this.requestAdmin('/metrics')
    const lines = body?.toString().matchAll(new RegExp(`^${name}(?:\\{.*\\})? (\\S+)$`, 'gm')) ?? []
    return [...lines].reduce((sum, [, value]) => sum + Number(value), 0)
  }

  /** How many other members the agent knows. */
  async peers(): Promise<number> {
    return await this.metric('leat_peers_connected')
  }

  /** Whether the agent owns the digest. */
  async owns(digest: string): Promise<boolean> {
    const { body } = await this.requestAdmin(`/api/v1/why?subject=${encodeURIComponent(digest)}`)
    const { peers } = JSON.parse(body?.toString() ?? '') as WhyReport
    return peers?.owner.self === true
  }

  /** Connects from this machine to another as a program would that is not an agent. */
  sendAndListen(
    target: Parameters<MachineTasks['sendAndListen']>[0],
  ): ReturnType<MachineTasks['sendAndListen']> {
    return this.#process.ask('sendAndListen', target)
  }

  get pid(): number | undefined {
    return this.#agent?.pid
  }

  /** Whether the agent was started and neither drained nor killed since. */
  get isUp(): boolean {
    return this.#isUp
  }

  usage(): Usage {
    return usageOf(this.#agent?.pid)
  }

  /** Ends the agent, and starts it again without all that it has stored. */
  async restartEmpty(): Promise<void> {
    await this.drain()
    await rm(join(this.#options.folder, 'data'), { recursive: true, force: true })
    await this.start()
  }

  /** Kills the agent, so that it cannot leave the swarm in order. */
  async kill(): Promise<void> {
    this.#isUp = false
    await this.#agent?.stop('SIGKILL')
  }

  /** Drains the agent and returns its exit code. */
  async drain(): Promise<number | null | undefined> {
    this.#isUp = false
    return await this.#agent?.stop()
  }

  /** Ends the agent and the process of the machine. */
  async stop(): Promise<void> {
    await this.kill()
    await this.#process.stop()
  }
}

export interface PullOptions {
  /** Whether every byte is checked; default: true. */
  readonly hash?: boolean
  /** Default: the image's tag. */
  readonly reference?: string
  readonly deadlineMs?: number
}
