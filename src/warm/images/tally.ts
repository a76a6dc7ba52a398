import { subscribe } from '../../observe/events.ts'
import type { Digest } from '../../oci/digest.ts'
import type { ImageProgress, WarmProgress } from '../../schemas/warm-report.ts'
import type { Origin, Place } from './place.ts'

/** A manifest or a blob that somebody waits for. */
interface Part {
  size: number
  state: 'waiting' | 'coming' | 'here'
  /** It was so before it was its turn. */
  wasHere: boolean
  /** As far as was last seen. */
  position: number
  /** From an earlier run. */
  resumedAt: number
  /** What was brought of it so far, by whom. */
  readonly fetched: Record<Origin, number>
}

interface Amounts {
  parts: number
  ofParts: number
  bytes: number
  ofBytes: number
  hereBytes: number
  fetched: Record<Origin, number>
}

/** The rate is that of so long. */
const WINDOW_MS = 10_000

/** Of everything that is warmed in one go: how much there is, how much of it is here, who has brought how much. */
export class Tally {
  readonly #place: Place
  readonly #parts = new Map<Digest, Part>()
  readonly #unsubscribe: readonly (() => void)[]
  readonly #samples: { readonly at: number; readonly bytes: number }[] = []

  constructor(place: Place) {
    this.#place = place
    this.#unsubscribe = [
      subscribe('flight.started', ({ digest, resumedAt }) => {
        const part = this.#parts.get(digest)
        if (part !== undefined) part.resumedAt = resumedAt
      }),
      subscribe('flight.attempted', ({ digest, sourceKind, bytes }) => {
        const part = this.#parts.get(digest)
        if (part !== undefined) part.fetched[sourceKind] += bytes
      }),
    ]
  }

  close(): void {
    for (const unsubscribe of this.#unsubscribe) unsubscribe()
  }

  /** It is needed, and is so large. */
  add(digest: Digest, size: number): void {
    if (this.#parts.has(digest)) return
    const fetched = { peer: 0, upstream: 0 }
    this.#parts.set(digest, { size, state: 'waiting', wasHere: false, position: 0, resumedAt: 0, fetched })
  }

  begin(digest: Digest): void {
    const part = this.#parts.get(digest)
    if (part?.state === 'waiting') part.state = 'coming'
  }

  here(digest: Digest, { wasHere }: { wasHere: boolean }): void {
    const part = this.#parts.get(digest)
    if (part === undefined || part.state === 'here') return
    part.state = 'here'
    // Or it came for others, just before its turn.
    part.wasHere = wasHere || part.fetched.peer + part.fetched.upstream === 0
  }

  /** For what became known only when it had come. */
  brought(digest: Digest, by: Origin): void {
    const part = this.#parts.get(digest)
    if (part !== undefined && part.fetched.peer + part.fetched.upstream === 0) part.fetched[by] = part.size
  }

  get digests(): ReadonlySet<Digest> {
    return new Set(this.#parts.keys())
  }

  amounts(digests: Iterable<Digest> = this.#parts.keys()): Amounts {
    const all: Amounts = {
      parts: 0,
      ofParts: 0,
      bytes: 0,
      ofBytes: 0,
      hereBytes: 0,
      fetched: { peer: 0, upstream: 0 },
    }
    for (const digest of digests) {
      const part = this.#parts.get(digest)
      if (part === undefined) continue
      const { size, state, wasHere } = part
      all.ofParts += 1
      all.ofBytes += size
      all.fetched.peer += part.fetched.peer
      all.fetched.upstream += part.fetched.upstream
      if (state === 'here') {
        all.parts += 1
        all.bytes += size
        if (wasHere) all.hereBytes += size
      } else if (state === 'coming') {
        this.#look(digest, part, all)
      }
    }
    return all
  }

  image(image: string, isPlanned: boolean, digests: Iterable<Digest>): ImageProgress {
    const { hereBytes: _, ...amounts } = this.amounts(digests)
    return { image, isPlanned, ...amounts }
  }

  /** `isPlanned`: everything that will be needed is known. */
  total(
    isPlanned: boolean,
  ): Pick<WarmProgress, 'bytes' | 'ofBytes' | 'fetched' | 'bytesPerSecond' | 'secondsLeft'> {
    const { bytes, ofBytes, fetched } = this.amounts()
    const bytesPerSecond = this.#rate(fetched.peer + fetched.upstream)
    const secondsLeft = isPlanned && bytesPerSecond > 0 ? Math.ceil((ofBytes - bytes) / bytesPerSecond) : null
    return { bytes, ofBytes, fetched, bytesPerSecond, secondsLeft }
  }

  /** What a transfer has brought since the last source was done counts for the one that it asks now. */
  #look(digest: Digest, part: Part, all: Amounts): void {
    const flight = this.#place.coming(digest)
    if (flight !== undefined) part.position = flight.position
    all.bytes += Math.min(part.position, part.size)
    const { peer, upstream } = part.fetched
    if (flight?.source !== undefined) {
      all.fetched[flight.source.kind] += Math.max(0, flight.position - part.resumedAt - peer - upstream)
    }
  }

  #rate(bytes: number): number {
    const at = performance.now()
    this.#samples.push({ at, bytes })
    while ((this.#samples[1]?.at ?? at) < at - WINDOW_MS) this.#samples.shift()
    const [first] = this.#samples
    if (first === undefined || at - first.at < 100) return 0
    return Math.max(0, Math.round((1000 * (bytes - first.bytes)) / (at - first.at)))
  }
}
