import type {
  ActivityReport,
  AgentReport,
  MemberActivity,
  SwarmActivityReport,
} from '../../../schemas/peer-report.ts'

/** A node that may be in a swarm. */
export interface SwarmNode {
  readonly name: string
  /** undefined while the node is in no swarm. */
  peers(): { readonly self: AgentReport; readonly members: readonly unknown[] } | undefined
  /** Asks other members of the swarm what they do; empty when the node is in no swarm. */
  askPeers(): Promise<readonly MemberActivity[]>
}

/** Whoever asks within this time gets the same answer, so that many open pages cost the swarm no more than one. */
const FRESH_MS = 2000

/** Reports what the members of the swarm do. Asks them only when somebody wants to know. */
export class SwarmActivity {
  readonly #node: SwarmNode
  readonly #own: () => Promise<ActivityReport>
  readonly #now: () => number
  #last: { readonly at: number; readonly report: Promise<SwarmActivityReport> } | undefined

  constructor(
    node: SwarmNode,
    own: () => Promise<ActivityReport>,
    now: () => number = () => performance.now(),
  ) {
    this.#node = node
    this.#own = own
    this.#now = now
  }

  report(): Promise<SwarmActivityReport> {
    const last = this.#last
    if (last !== undefined && this.#now() - last.at < FRESH_MS) return last.report
    const report = this.#ask()
    this.#last = { at: this.#now(), report }
    return report
  }

  async #ask(): Promise<SwarmActivityReport> {
    // A member that leaves meanwhile has been asked, so the members are counted as they are now.
    const swarm = this.#node.peers()
    const [activity, others] = await Promise.all([this.#own(), this.#node.askPeers()])
    const self = swarm?.self ?? { name: this.#node.name, address: '', zone: null }
    return { count: swarm?.members.length ?? 0, members: [{ ...self, self: true, activity }, ...others] }
  }
}
