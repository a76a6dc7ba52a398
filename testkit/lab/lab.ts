import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Network, type Place, type Rate } from './network.ts'
import { ClusterNode } from './node.ts'
import type { BeaconSkills } from './programs/bootstrap-program.ts'
import { Remote } from './remote-process.ts'
import { Upstream } from './upstream.ts'

export interface LabOptions {
  readonly nodes: number
  /** The built entry point of the agents. */
  readonly entry: string
  /** Below it lies everything that the lab writes. It is removed with the lab. */
  readonly folder: string
  /** Of each node's link. Undefined: as fast as memory. */
  readonly rate?: Rate | undefined
  /** Of upstream's link; default: as that of a node. */
  readonly upstreamRate?: Rate | undefined
  /** Whether the agents find each other. Without it each is by itself. */
  readonly peers: boolean
  /** The zone of the node of that number, which is also its site in the network. */
  readonly zoneOf?: ((number: number) => string) | undefined
  readonly tagTtl?: string | undefined
  readonly flags?: readonly string[] | undefined
}

const BEACON = fileURLToPath(new URL('./programs/bootstrap-program.js', import.meta.url))
const BEACON_PORT = 49_737
const SECRET = 'what only the nodes of the lab know'
/** A start is mostly work for a processor, and there are few of those. */
const STARTED_AT_A_TIME = 4
/** Only what hangs takes so long, however busy the machine is. */
const MEETING_MS = 180_000

/** One registry and many nodes at one switch, the first DHT node of the swarm beside them. */
export class Lab {
  readonly network: Network
  readonly upstream: Upstream
  readonly nodes: ClusterNode[] = []
  readonly #options: LabOptions
  readonly #bootstrap: readonly string[]

  /** Everything is up and every agent ready; with peers, each of them knows all the others. */
  static async open(options: LabOptions): Promise<Lab> {
    const network = new Network()
    try {
      const upstream = await Upstream.start(network.join('upstream', options.upstreamRate ?? options.rate))
      const bootstrap = options.peers ? [await light(network.join('beacon'))] : []
      const lab = new Lab(options, network, upstream, bootstrap)
      while (lab.nodes.length < options.nodes) {
        await lab.grow(Math.min(STARTED_AT_A_TIME, options.nodes - lab.nodes.length))
      }
      if (options.peers) await lab.met()
      return lab
    } catch (error) {
      network.close()
      await remove(options.folder)
      throw error
    }
  }

  private constructor(
    options: LabOptions,
    network: Network,
    upstream: Upstream,
    bootstrap: readonly string[],
  ) {
    this.#options = options
    this.network = network
    this.upstream = upstream
    this.#bootstrap = bootstrap
  }

  /** More nodes, ready to serve. */
  async grow(count: number, { secret = SECRET }: { secret?: string } = {}): Promise<ClusterNode[]> {
    const made = Array.from({ length: count }, () => this.#add(secret))
    await Promise.all(made.map((node) => node.start()))
    return made
  }

  #add(secret: string): ClusterNode {
    const { entry, folder, rate, peers, tagTtl = '60s', flags = [] } = this.#options
    const number = this.nodes.length
    const label = `node-${number}`
    const zone = this.#options.zoneOf?.(number)
    const node = new ClusterNode(this.network.join(label, rate, zone), {
      entry,
      folder: join(folder, label),
      upstream: this.upstream.address,
      tagTtl,
      flags,
      swarm: peers ? { secret, bootstrap: this.#bootstrap, zone } : undefined,
    })
    this.nodes.push(node)
    return node
  }

  /** Resolves when each of these knows all the others. */
  async met(nodes: readonly ClusterNode[] = this.nodes): Promise<void> {
    const deadline = Date.now() + MEETING_MS
    for (const node of nodes) {
      while ((await node.peers()) < nodes.length - 1) {
        if (Date.now() > deadline) {
          throw new Error(`${node.place.label} knows ${await node.peers()} of ${nodes.length - 1} others`)
        }
        await delay(100)
      }
    }
  }

  /** All run and know each other, whatever was done to them before. */
  async revive(): Promise<void> {
    await Promise.all(this.nodes.filter((node) => !node.isUp).map((node) => node.start()))
    await this.met()
  }

  /** The one who has this address. */
  at(address: string): ClusterNode {
    const found = this.nodes.find((node) => node.place.address === address)
    if (found === undefined) throw new Error(`nobody is at ${address}`)
    return found
  }

  /** Nothing of it is left. */
  async close(): Promise<void> {
    try {
      await Promise.all([this.upstream.stop(), ...this.nodes.map((node) => node.stop())])
    } finally {
      this.network.close()
      await remove(this.#options.folder)
    }
  }
}

async function light(place: Place): Promise<string> {
  const beacon = new Remote<BeaconSkills>(place, BEACON)
  await beacon.ask('light', { host: place.address, port: BEACON_PORT })
  return `${place.address}:${BEACON_PORT}`
}

async function remove(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true, maxRetries: 5 })
}
