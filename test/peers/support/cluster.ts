import { randomBytes } from 'node:crypto'
import type { Digest } from '../../../src/oci/digest.ts'
import type { Member, MemberId } from '../../../src/peers/identity/member.ts'
import { deriveSecret, type SwarmSecret } from '../../../src/peers/identity/secret.ts'
import { OwnerRanking } from '../../../src/peers/membership/owner-ranking.ts'
import { digestOf } from '../../../testkit/memory/digests.ts'
import { Node, type NodeOptions } from './cluster-node.ts'
import { Rogue } from './rogue.ts'
import { SharedMembership } from './shared-membership.ts'

/** Nodes in this process that know each other because the test says so. */
export class Cluster {
  readonly nodes: Node[] = []
  readonly #stopped = new Set<Node>()
  readonly #rogues: Rogue[] = []
  readonly #secret: SwarmSecret
  readonly #membership = new SharedMembership()
  #nodeCount = 0

  private constructor(secret: SwarmSecret) {
    this.#secret = secret
  }

  static async start(count: number, host: string, options: NodeOptions = {}): Promise<Cluster> {
    const cluster = new Cluster(await deriveSecret('only for the tests of peers'))
    await Promise.all(Array.from({ length: count }, () => cluster.add(host, options)))
    return cluster
  }

  async add(host: string, options: NodeOptions = {}): Promise<Node> {
    const node = await this.open(host, options)
    await node.join()
    return node
  }

  /** Adds a node that listens, and has not joined the others yet. */
  async open(host: string, options: NodeOptions = {}): Promise<Node> {
    // Several nodes may be opened at once, so each takes its place in the list before it waits.
    const at = this.#nodeCount
    this.#nodeCount += 1
    const setting = { name: `node-${at}`, secret: this.#secret, membership: this.#membership, host }
    const node = await Node.open(setting, options)
    this.nodes[at] = node
    return node
  }

  /** Adds a member that all others take for an honest one. */
  async addRogue(name = 'rogue'): Promise<Rogue> {
    const rogue = await Rogue.start(this.#secret, name)
    this.#rogues.push(rogue)
    this.#membership.set(rogue.member)
    return rogue
  }

  /** Gives bytes whose digest this member owns. */
  bytesOwnedBy({ id }: { readonly id: MemberId }, size: number): Buffer {
    const ranking = new OwnerRanking(this.#membership.present().map((member) => member.id))
    for (;;) {
      const bytes = randomBytes(size)
      if (ranking.owner(digestOf(bytes)) === id) return bytes
    }
  }

  /** Gives the nodes in the order of this digest. The first one is the owner. */
  ranked(digest: Digest): readonly Node[] {
    const ids = this.#membership.present().map(({ id }) => id)
    const order = new OwnerRanking(ids).first(digest, ids.length)
    return order.flatMap((id) => this.nodes.find((node) => node.id === id) ?? [])
  }

  ownerOf(digest: Digest): Node {
    const [owner] = this.ranked(digest)
    if (owner === undefined) throw new Error(`no node owns ${digest}`)
    return owner
  }

  /** Ends a node, which does not say goodbye. The others are told of it when the node is dead. */
  async kill(node: Node): Promise<void> {
    this.#stopped.add(node)
    this.#membership.remove(node.id)
    await node.stop()
    this.#membership.notify()
  }

  /** Hides a node from all others while `work` is under way. */
  async without(node: Node, work: () => Promise<unknown>): Promise<void> {
    const { self } = node
    this.#membership.remove(self.id)
    this.#membership.notify()
    await work()
    this.#membership.set(self)
  }

  /** Makes the others believe that a node has another port or incarnation. */
  pretend({ self }: Node, change: Partial<Pick<Member, 'port' | 'incarnation'>>): void {
    this.#membership.set({ ...self, ...change })
  }

  async stop(): Promise<void> {
    const running = this.nodes.filter((node) => !this.#stopped.has(node))
    await Promise.all(running.map((node) => this.kill(node)))
    await Promise.all(this.#rogues.map((rogue) => rogue.stop()))
  }
}
