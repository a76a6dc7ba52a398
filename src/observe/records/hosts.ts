import { BoundedMap } from '../../lib/bounded-map.ts'
import { subscribe } from '../events.ts'

/** What was last heard of an upstream host. Times in milliseconds since the epoch. */
export interface HostState {
  readonly host: string
  requests: number
  /** No answer, or a 5xx or 429. */
  failures: number
  lastAt: number | undefined
  lastStatus: number | undefined
  circuit: { readonly open: boolean; readonly reason: string } | undefined
  /** As it has told a peer, which has told this node, when `isHearsay`. */
  quota:
    | {
        readonly limit: number | undefined
        readonly remaining: number
        readonly windowSeconds: number | undefined
        readonly isHearsay: boolean
      }
    | undefined
  /** It has asked for a rest. */
  limited: { readonly kind: string; readonly until: number; readonly isHearsay: boolean } | undefined
}

/** Hosts are named by clients, so that there is no end of them. */
const MOST_HOSTS = 256

/** Keeps what is heard of upstream hosts, the most lately heard of last, from its making until `close`. */
export class Hosts {
  readonly #hosts = new BoundedMap<string, HostState>(MOST_HOSTS)
  readonly #subscriptions: readonly (() => void)[]

  constructor() {
    this.#subscriptions = [
      subscribe('upstream.answered', ({ host, status }) => {
        const state = this.#of(host)
        state.requests += 1
        if (status === undefined || status >= 500 || status === 429) state.failures += 1
        state.lastAt = Date.now()
        state.lastStatus = status
      }),
      subscribe('upstream.circuit', ({ host, open, reason }) => {
        this.#of(host).circuit = { open, reason }
      }),
      subscribe('upstream.quota', ({ host, limit, remaining, windowSeconds, isHearsay = false }) => {
        this.#of(host).quota = { limit, remaining, windowSeconds, isHearsay }
      }),
      subscribe('upstream.limited', ({ host, kind, forMs, isHearsay }) => {
        this.#of(host).limited = { kind, until: Date.now() + forMs, isHearsay }
      }),
    ]
  }

  close(): void {
    for (const end of this.#subscriptions) end()
  }

  get(host: string): Readonly<HostState> | undefined {
    return this.#hosts.get(host)
  }

  all(): readonly Readonly<HostState>[] {
    return [...this.#hosts.values()]
  }

  #of(host: string): HostState {
    const known = this.#hosts.get(host) ?? {
      host,
      requests: 0,
      failures: 0,
      lastAt: undefined,
      lastStatus: undefined,
      circuit: undefined,
      quota: undefined,
      limited: undefined,
    }
    this.#hosts.set(host, known)
    return known
  }
}
