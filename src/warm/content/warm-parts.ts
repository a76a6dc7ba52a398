import { subscribe } from '../../observe/events.ts'
import type { Digest } from '../../oci/digest.ts'
import type { ImageProgress, WarmProgress } from '../../schemas/warm-report.ts'
import { type Origin, type OriginKey, originKey, type WarmTarget } from './warm-target.ts'

/** A manifest or a blob that an image needs. */
interface Part {
  size: number
  state: 'waiting' | 'arriving' | 'stored'
  /** Whether the part was stored before it had its turn. */
  wasStored: boolean
  /** The last known position of its flight. */
  position: number
  /** How much of it was here before this run fetched any; undefined until its flight has started. */
  hereBefore: number | undefined
  /** The bytes that finished attempts have brought, by origin. */
  readonly fetched: Record<OriginKey, number>
}

interface Totals {
  parts: number
  ofParts: number
  bytes: number
  ofBytes: number
  hereBytes: number
  fetched: Record<OriginKey, number>
}

/** The rate is the average of this time. */
const RATE_WINDOW_MS = 10_000

/** All manifests and blobs of a warm run: their sizes, how much of each is stored, and where it came from. */
export class WarmParts {
  readonly #target: WarmTarget
  readonly #parts = new Map<Digest, Part>()
  readonly #unsubscribe: readonly (() => void)[]
  readonly #samples: { readonly at: number; readonly bytes: number }[] = []

  constructor(target: WarmTarget) {
    this.#target = target
    this.#unsubscribe = [
      subscribe('flight.started', ({ digest, resumedAt }) => {
        const part = this.#parts.get(digest)
        if (part !== undefined) part.hereBefore ??= resumedAt
      }),
      subscribe('flight.attempted', ({ digest, sourceKind, bytes }) => {
        const part = this.#parts.get(digest)
        if (part !== undefined) part.fetched[originKey(sourceKind)] += bytes
      }),
    ]
  }

  close(): void {
    for (const unsubscribe of this.#unsubscribe) unsubscribe()
  }

  add(digest: Digest, size: number): void {
    if (this.#parts.has(digest)) return
    const fetched = { peer: 0, objectStore: 0, upstream: 0 }
    this.#parts.set(digest, {
      size,
      state: 'waiting',
      wasStored: false,
      position: 0,
      hereBefore: undefined,
      fetched,
    })
  }

  markArriving(digest: Digest): void {
    const part = this.#parts.get(digest)
    if (part?.state !== 'waiting') return
    part.state = 'arriving'
    // What another client's flight has brought so far does not count as this run's.
    part.hereBefore ??= this.#target.flight(digest)?.position
  }

  markStored(digest: Digest, { wasStored }: { wasStored: boolean }): void {
    const part = this.#parts.get(digest)
    if (part === undefined || part.state === 'stored') return
    part.state = 'stored'
    // Without fetched bytes, a flight of another client stored the part just before its turn.
    part.wasStored = wasStored || isUnfetched(part)
  }

  /** For a part that was fetched before its digest was known. */
  setOrigin(digest: Digest, origin: Origin): void {
    const part = this.#parts.get(digest)
    if (part !== undefined && isUnfetched(part)) part.fetched[originKey(origin)] = part.size
  }

  totals(digests: Iterable<Digest> = this.#parts.keys()): Totals {
    const totals: Totals = {
      parts: 0,
      ofParts: 0,
      bytes: 0,
      ofBytes: 0,
      hereBytes: 0,
      fetched: { peer: 0, objectStore: 0, upstream: 0 },
    }
    for (const digest of digests) {
      const part = this.#parts.get(digest)
      if (part === undefined) continue
      const { size, state, wasStored } = part
      totals.ofParts += 1
      totals.ofBytes += size
      totals.fetched.peer += part.fetched.peer
      totals.fetched.objectStore += part.fetched.objectStore
      totals.fetched.upstream += part.fetched.upstream
      if (state === 'stored') {
        totals.parts += 1
        totals.bytes += size
        if (wasStored) totals.hereBytes += size
      } else if (state === 'arriving') {
        this.#addArriving(totals, digest, part)
      }
    }
    return totals
  }

  imageProgress(image: string, isPlanned: boolean, digests: Iterable<Digest>): ImageProgress {
    const { hereBytes: _, ...totals } = this.totals(digests)
    return { image, isPlanned, ...totals }
  }

  /** `isPlanned` says whether all parts of all images are known. */
  runProgress(
    isPlanned: boolean,
  ): Pick<WarmProgress, 'bytes' | 'ofBytes' | 'fetched' | 'bytesPerSecond' | 'secondsLeft'> {
    const { bytes, ofBytes, fetched } = this.totals()
    const bytesPerSecond = this.#rate(this.#broughtBytes())
    const secondsLeft = isPlanned && bytesPerSecond > 0 ? Math.ceil((ofBytes - bytes) / bytesPerSecond) : null
    return { bytes, ofBytes, fetched, bytesPerSecond, secondsLeft }
  }

  /** The bytes that have come since this run began to wait for them. */
  #broughtBytes(): number {
    let bytes = 0
    for (const { size, state, wasStored, position, hereBefore = 0 } of this.#parts.values()) {
      if (state === 'stored' && !wasStored) bytes += Math.max(0, size - hereBefore)
      if (state === 'arriving') bytes += Math.max(0, position - hereBefore)
    }
    return bytes
  }

  /** Bytes that no finished attempt accounts for come from the source of the current attempt. */
  #addArriving(totals: Totals, digest: Digest, part: Part): void {
    const flight = this.#target.flight(digest)
    if (flight !== undefined) part.position = flight.position
    totals.bytes += Math.min(part.position, part.size)
    const { peer, objectStore, upstream } = part.fetched
    if (flight?.source !== undefined) {
      totals.fetched[originKey(flight.source.kind)] += Math.max(
        0,
        flight.position - (part.hereBefore ?? flight.position) - peer - objectStore - upstream,
      )
    }
  }

  #rate(bytes: number): number {
    const at = performance.now()
    this.#samples.push({ at, bytes })
    while ((this.#samples[1]?.at ?? at) < at - RATE_WINDOW_MS) this.#samples.shift()
    const [first] = this.#samples
    if (first === undefined || at - first.at < 100) return 0
    return Math.max(0, Math.round((1000 * (bytes - first.bytes)) / (at - first.at)))
  }
}

function isUnfetched({ fetched }: Part): boolean {
  return fetched.peer + fetched.objectStore + fetched.upstream === 0
}
