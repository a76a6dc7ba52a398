import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { LabBucket } from './lab-bucket.ts'
import { type LabMachine, Network, type Rate } from './network.ts'
import { ClusterNode } from './node.ts'
import type { BootstrapTasks } from './programs/bootstrap-program.ts'
import { RemoteProcess } from './remote-process.ts'
import { Upstream } from './upstream.ts'

export interface LabOptions {
  readonly nodes: number
  /** The built entry point of the agent. */
  readonly entry: string
  /** The lab writes only below this folder, and removes it at the end. */
  readonly folder: string
  /** The rate of each node's link; default: no limit. */
  readonly rate?: Rate | undefined
  /** The rate of upstream's link; default: that of a node. */
  readonly upstreamRate?: Rate | undefined
  /** Whether the agents are members of one swarm. */
  readonly peers: boolean
  /** The zone of the node with this number, which is also its site in the network. */
  readonly zoneOf?: ((number: number) => string) | undefined
  readonly tagTtl?: string | undefined
  readonly flags?: readonly string[] | undefined
  /** Whether there is a bucket that all nodes read and fill. */
  readonly hasBucket?: boolean | undefined
}

const BOOTSTRAP = fileURLToPath(new URL('./programs/bootstrap-program.js', import.meta.url))
const BOOTSTRAP_PORT = 49_737
const SECRET = 'a secret of the nodes of a lab'
/** Starting an agent is mostly processor time, so starting more at once would not be faster. */
const CONCURRENT_STARTS = 4
/** Only agents that never find each other take so long, however busy the machine is. */
const CONNECT_MS = 180_000

/** One registry, the first DHT node and many nodes, all connected to one switch. */
export class Lab {
  readonly network: Network
  readonly upstream: Upstream
  readonly bucket: LabBucket | undefined
  readonly nodes: ClusterNode[] = []
  readonly #options: LabOptions
  readonly #bootstrap: readonly string[]

  /** Resolves when every agent is ready and, with peers, knows all others. */
  static async open(options: LabOptions): Promise<Lab> {
    const network = new Network()
    try {
      const upstream = await Upstream.start(
        network.addMachine('upstream', options.upstreamRate ?? options.rate),
      )
      const bootstrap = options.peers ? [await startBootstrap(network.addMachine('bootstrap'))] : []
      const bucket =
        options.hasBucket === true ? await LabBucket.start(network.addMachine('bucket')) : undefined
      const lab = new Lab(options, network, { upstream, bucket, bootstrap })
      while (lab.nodes.length < options.nodes) {
        await lab.addNodes(Math.min(CONCURRENT_STARTS, options.nodes - lab.nodes.length))
      }
      if (options.peers) await lab.untilConnected()
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
    parts: {
      readonly upstream: Upstream
      readonly bucket: LabBucket | undefined
      readonly bootstrap: readonly string[]
    },
  ) {
    this.#options = options
    this.network = network
    this.upstream = parts.upstream
    this.bucket = parts.bucket
    this.#bootstrap = parts.bootstrap
  }

  /** Adds nodes. Resolves when they are ready to serve. */
  async addNodes(count: number, { secret = SECRET }: { secret?: string } = {}): Promise<ClusterNode[]> {
    const made = Array.from({ length: count }, () => this.#add(secret))
    await Promise.all(made.map((node) => node.start()))
    return made
  }

  #add(secret: string): ClusterNode {
    const { entry, folder, rate, peers, tagTtl = '60s', flags = [] } = this.#options
    const number = this.nodes.length
    const label = `node-${number}`
    const zone = this.#options.zoneOf?.(number)
    const node = new ClusterNode(this.network.addMachine(label, rate, zone), {
      entry,
      folder: join(folder, label),
      upstream: this.upstream.address,
      tagTtl,
      flags,
      settings: this.bucket?.settings ?? '',
      swarm: peers ? { secret, bootstrap: this.#bootstrap, zone } : undefined,
    })
    this.nodes.push(node)
    return node
  }

  /** Resolves when each of these nodes knows all the others. */
  async untilConnected(nodes: readonly ClusterNode[] = this.nodes): Promise<void> {
    const deadline = Date.now() + CONNECT_MS
    for (const node of nodes) {
      while ((await node.peers()) < nodes.length - 1) {
        if (Date.now() > deadline) {
          throw new Error(`${node.machine.label} knows ${await node.peers()} of ${nodes.length - 1} others`)
        }
        await delay(100)
      }
    }
  }

  /** Starts the agents that have ended. Resolves when all agents know each other. */
  async restartEnded(): Promise<void> {
    await Promise.all(this.nodes.filter((node) => !node.isUp).map((node) => node.start()))
    await this.untilConnected()
  }

  /** The node that has this address. */
  nodeAt(address: string): ClusterNode {
    const found = this.nodes.find((node) => node.machine.address === address)
    if (found === undefined) throw new Error(`no node has the address ${address}`)
    return found
  }

  /** Ends all processes and removes the network and the folder. */
  async close(): Promise<void> {
    try {
      await Promise.all([this.upstream.stop(), this.bucket?.stop(), ...this.nodes.map((node) => node.stop())])
    } finally {
      this.network.close()
      await remove(this.#options.folder)
    }
  }
}

async function startBootstrap(machine: LabMachine): Promise<string> {
  const bootstrap = new RemoteProcess<BootstrapTasks>(machine, BOOTSTRAP)
  await bootstrap.ask('start', { host: machine.address, port: BOOTSTRAP_PORT })
  return `${machine.address}:${BOOTSTRAP_PORT}`
}

async function remove(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true, maxRetries: 5 })
}
