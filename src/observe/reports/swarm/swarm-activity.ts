import type { ActivityReport, SwarmActivityReport } from '../../../schemas/peer-report.ts'
import type { NodeView } from '../view.ts'

/** Whoever asks within this time gets the same answer, so that many open pages cost the swarm no more than one. */
const FRESH_MS = 2000

/** Reports what the members of the swarm do. Asks them only when somebody wants to know. */
export class SwarmActivity {
  readonly #view: Pick<NodeView, 'askPeers' | 'name' | 'peers'>
  readonly #own: () => Promise<ActivityReport>
  readonly #now: () => number
  #last: { readonly at: number; readonly report: Promise<SwarmActivityReport> } | undefined

  constructor(
    view: Pick<NodeView, 'askPeers' | 'name' | 'peers'>,
    own: () => Promise<ActivityReport>,
    now: () => number = () => performance.now(),
  ) {
    this.#view = view
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
    const [activity, others] = await Promise.all([this.#own(), this.#view.askPeers()])
    const swarm = this.#view.peers()
    const self = swarm?.self ?? { name: this.#view.name, address: '', zone: null }
    return { count: swarm?.members.length ?? 0, members: [{ ...self, self: true, activity }, ...others] }
  }
}
