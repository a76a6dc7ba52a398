import { BoundedMap } from '../../lib/bounded-map.ts'
import { subscribe } from '../events.ts'

/** The recent history of one upstream host. Times are in milliseconds since the epoch. */
export interface HostRecord {
  readonly host: string
  requests: number
  /** Requests that got no response, a 5xx or a 429. */
  failures: number
  lastAt: number | undefined
  lastStatus: number | undefined
  circuit: { readonly open: boolean; readonly reason: string } | undefined
  /** The last quota that the host reported. */
  quota:
    | {
        readonly limit: number | undefined
        readonly remaining: number
        readonly windowSeconds: number | undefined
      }
    | undefined
  /** The last 429 of the host: to this node, or to a peer when `isFromPeer`. */
  rateLimit: { readonly kind: string; readonly until: number; readonly isFromPeer: boolean } | undefined
}

/** Clients choose the host names, so their number is bounded; a node uses a few dozen registries. */
const MAX_HOSTS = 256

/** Records what happened to each upstream host, from construction until `close`. The most recently used host is last. */
export class HostRecords {
  readonly #hosts = new BoundedMap<string, HostRecord>(MAX_HOSTS)
  readonly #subscriptions: readonly (() => void)[]

  constructor() {
    this.#subscriptions = [
      subscribe('upstream.answered', ({ host, status }) => {
        const state = this.#recordOf(host)
        state.requests += 1
        if (status === undefined || status >= 500 || status === 429) state.failures += 1
        state.lastAt = Date.now()
        state.lastStatus = status
      }),
      subscribe('upstream.circuit', ({ host, open, reason }) => {
        this.#recordOf(host).circuit = { open, reason }
      }),
      subscribe('upstream.quota', ({ host, limit, remaining, windowSeconds }) => {
        this.#recordOf(host).quota = { limit, remaining, windowSeconds }
      }),
      subscribe('upstream.limited', ({ host, kind, forMs, isFromPeer }) => {
        this.#recordOf(host).rateLimit = { kind, until: Date.now() + forMs, isFromPeer }
      }),
    ]
  }

  close(): void {
    for (const unsubscribe of this.#subscriptions) unsubscribe()
  }

  get(host: string): Readonly<HostRecord> | undefined {
    return this.#hosts.get(host)
  }

  all(): readonly Readonly<HostRecord>[] {
    return [...this.#hosts.values()]
  }

  #recordOf(host: string): HostRecord {
    const record = this.#hosts.get(host) ?? {
      host,
      requests: 0,
      failures: 0,
      lastAt: undefined,
      lastStatus: undefined,
      circuit: undefined,
      quota: undefined,
      rateLimit: undefined,
    }
    this.#hosts.set(host, record)
    return record
  }
}
