import type { Repository } from '../../oci/names/repository.ts'
import { repositoryKey } from '../../oci/names/repository.ts'
import { subscribe } from '../events.ts'

const GIB = 1024 ** 3
/** The longest time whose counts a crash loses. */
const WRITE_MS = 30_000
/** Clients choose the images, so the number of those that are counted between two writes is bounded. */
const MOST_UNWRITTEN = 1000
/** Stands for all further images of a registry. */
const OTHER_IMAGES = '*'

/**
 * What bytes of a body are counted as. `clients` and `peers`: who got them without a transfer from upstream for this
 * request; `upstream`: a client got them, and upstream has sent them for it.
 */
export type SavingsKind = 'clients' | 'peers' | 'upstream'

/** What was counted on one day for one image, in the zone of this node. */
export interface SavingsEntry {
  /** `2026-01-31`, in UTC. */
  readonly day: string
  readonly registry: string
  /** The repository's name in its registry. */
  readonly image: string
  readonly zone: string
  readonly kind: SavingsKind
  readonly bytes: number
}

/** Where the counts are kept. */
export interface SavingsLedger {
  /** Adds the bytes to those that are there. */
  add(entries: readonly SavingsEntry[]): Promise<void>
  entries(): AsyncIterable<SavingsEntry>
}

export interface SavingsOptions {
  readonly ledger: SavingsLedger
  readonly zone: string | undefined
  /** Upstream has no hosted images, so that nothing is saved. */
  readonly isHosted: (repository: Repository) => boolean
  /** What a GiB from the registry costs; undefined if the settings do not say. */
  readonly costPerGiB: (registry: string) => number | undefined
  readonly now?: () => number
}

type Sums = Record<SavingsKind, number>

export interface SavingsView {
  /** The first day that is counted; undefined while nothing is. */
  readonly since: string | undefined
  readonly total: Readonly<Sums>
  /** What was saved, in the currency of the settings; undefined without a price. */
  readonly cost: number | undefined
  readonly registries: readonly (Readonly<Sums> & {
    readonly registry: string
    readonly cost: number | undefined
  })[]
}

/** Counts what did not have to come from upstream, request by request, and keeps it across restarts. */
export class Savings {
  readonly #options: SavingsOptions
  readonly #sums = new Map<string, Sums>()
  readonly #subscriptions: readonly (() => void)[]
  readonly #timer: NodeJS.Timeout
  #unwritten = new Map<string, SavingsEntry>()
  #since: string | undefined
  #writing: Promise<void> = Promise.resolve()

  constructor(options: SavingsOptions) {
    this.#options = options
    this.#subscriptions = [
      subscribe('request.ended', ({ repository, source, bytes }) => {
        if (source !== undefined)
          this.#count(repository, source === 'upstream' ? 'upstream' : 'clients', bytes)
      }),
      subscribe('peer.served', ({ repository, bytes }) => this.#count(repository, 'peers', bytes)),
    ]
    this.#timer = setInterval(() => void this.#write().catch(() => {}), WRITE_MS).unref()
  }

  /** Reads what was counted before. */
  async open(): Promise<void> {
    for await (const entry of this.#options.ledger.entries()) this.#sum(entry)
  }

  view(): SavingsView {
    const registries = [...this.#sums].map(([registry, sums]) => ({
      registry,
      ...sums,
      cost: this.#costOf(registry, sums),
    }))
    const total = { clients: 0, peers: 0, upstream: 0 }
    for (const { clients, peers, upstream } of registries) {
      total.clients += clients
      total.peers += peers
      total.upstream += upstream
    }
    const costs = registries.flatMap(({ cost }) => cost ?? [])
    const cost = costs.length === 0 ? undefined : costs.reduce((sum, one) => sum + one, 0)
    return { since: this.#since, total, cost, registries }
  }

  async close(): Promise<void> {
    for (const unsubscribe of this.#subscriptions) unsubscribe()
    clearInterval(this.#timer)
    // A full disk takes no more writes: then the last counts are lost.
    await this.#write().catch(() => {})
  }

  #count(repository: Repository | undefined, kind: SavingsKind, bytes: number): void {
    const { isHosted, zone = '', now = Date.now } = this.#options
    if (repository === undefined || bytes <= 0 || isHosted(repository)) return
    const { registry } = repository
    const day = new Date(now()).toISOString().slice(0, 10)
    const keyOf = (image: string): string =>
      [day, repositoryKey({ registry, name: image }), zone, kind].join(' ')
    const isFull = this.#unwritten.size >= MOST_UNWRITTEN && !this.#unwritten.has(keyOf(repository.name))
    const image = isFull ? OTHER_IMAGES : repository.name
    const before = this.#unwritten.get(keyOf(image))?.bytes ?? 0
    this.#unwritten.set(keyOf(image), { day, registry, image, zone, kind, bytes: before + bytes })
    this.#sum({ day, registry, kind, bytes })
  }

  #sum({ day, registry, kind, bytes }: Pick<SavingsEntry, 'day' | 'registry' | 'kind' | 'bytes'>): void {
    const sums = this.#sums.get(registry) ?? { clients: 0, peers: 0, upstream: 0 }
    sums[kind] += bytes
    this.#sums.set(registry, sums)
    if (this.#since === undefined || day < this.#since) this.#since = day
  }

  #costOf(registry: string, { clients, peers }: Sums): number | undefined {
    const price = this.#options.costPerGiB(registry)
    return price === undefined ? undefined : ((clients + peers) / GIB) * price
  }

  /** Writes what was counted since the last write. After a failure it is written with the next one. */
  #write(): Promise<void> {
    this.#writing = this.#writing.then(
      () => this.#writeNow(),
      () => this.#writeNow(),
    )
    return this.#writing
  }

  async #writeNow(): Promise<void> {
    if (this.#unwritten.size === 0) return
    const writing = this.#unwritten
    this.#unwritten = new Map()
    try {
      await this.#options.ledger.add([...writing.values()])
    } catch (error) {
      for (const [key, entry] of writing) {
        const later = this.#unwritten.get(key)?.bytes ?? 0
        if (this.#unwritten.size < MOST_UNWRITTEN * 2)
          this.#unwritten.set(key, { ...entry, bytes: entry.bytes + later })
      }
      throw error
    }
  }
}
