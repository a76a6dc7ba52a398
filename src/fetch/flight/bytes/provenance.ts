import type { Source } from '../../../ports/source.ts'

/** Who brings bytes. */
export interface ByteSource extends Pick<Source, 'name' | 'kind'> {
  /** Where names may be alike. */
  readonly id?: string
}

interface Stretch {
  readonly start: number
  /** undefined: it was here before. */
  readonly from: ByteSource | undefined
}

interface Share {
  readonly from: ByteSource
  bytes: number
}

/** In an origin, which is kept with every blob. */
const MOST_NAMES = 4
/** Of what came before the last so many stretches, only how much each has brought is known. */
const MOST_STRETCHES = 256
/** All others are taken for one of these. */
const MOST_SHARES = 64

/** Who has brought which bytes of a content, from its start on. */
export class Provenance {
  #stretches: Stretch[] = []
  #older = new Map<string, Share>()

  /** Who was asked last. */
  get last(): ByteSource | undefined {
    return this.#stretches.at(-1)?.from
  }

  /** What comes from `position` on is from this one. */
  startFrom(position: number, from: ByteSource | undefined): void {
    if (this.#stretches.at(-1)?.start === position) this.#stretches.pop()
    this.#stretches.push({ start: position, from })
    if (this.#stretches.length <= MOST_STRETCHES) return
    const [oldest, next] = this.#stretches
    this.#stretches.shift()
    if (oldest !== undefined && next !== undefined) add(this.#older, oldest, next.start)
  }

  /** What came after `position` was taken back. */
  truncate(position: number): void {
    this.#stretches = this.#stretches.filter(({ start }) => start < position)
    if (position === 0) this.#older.clear()
  }

  /** Whoever has brought any of the bytes before `end`, in the order in which they came. */
  contributors(end: number): readonly ByteSource[] {
    return [...this.#shares(end)].map(({ from }) => from)
  }

  /** The kind that has brought most of the bytes before `end`; of whoever is asked, while nobody has brought any. */
  mainSourceKind(end: number): Source['kind'] | undefined {
    const brought = { peer: 0, upstream: 0 }
    for (const { from, bytes } of this.#shares(end)) brought[from.kind] += bytes
    if (brought.peer === brought.upstream) return this.last?.kind
    return brought.peer > brought.upstream ? 'peer' : 'upstream'
  }

  #shares(end: number): Iterable<Share> {
    const shares = new Map<string, Share>()
    for (const [key, share] of this.#older) shares.set(key, { ...share })
    for (const [at, stretch] of this.#stretches.entries()) {
      add(shares, stretch, Math.min(end, this.#stretches[at + 1]?.start ?? end))
    }
    return shares.values()
  }
}

function add(shares: Map<string, Share>, { start, from }: Stretch, end: number): void {
  if (from === undefined || end <= start) return
  const key = `${from.kind} ${from.id ?? from.name}`
  const known = shares.get(key) ?? (shares.size < MOST_SHARES ? undefined : alike(shares, from))
  if (known === undefined) shares.set(key, { from, bytes: end - start })
  else known.bytes += end - start
}

function alike(shares: Map<string, Share>, { kind }: ByteSource): Share | undefined {
  for (const share of shares.values()) if (share.from.kind === kind) return share
  return undefined
}

/** `upstream registry-1.docker.io`, `peer node-3, peer node-7`. */
export function originText(bringers: readonly ByteSource[]): string {
  const names = bringers.slice(0, MOST_NAMES).map(({ kind, name }) => `${kind} ${name}`)
  const more = bringers.length - names.length
  return more === 0 ? names.join(', ') : `${names.join(', ')} and ${more} more`
}
