import type { Source } from '../../../ports/source.ts'

/** An upstream host, an object store or a peer that brings bytes. */
export interface ByteSource extends Pick<Source, 'name' | 'kind'> {
  /** Tells two apart that have the same name. */
  readonly id?: string
}

/** Bytes from one source, up to the start of the next stretch. */
interface Stretch {
  readonly start: number
  /** undefined: the bytes are from an earlier run. */
  readonly from: ByteSource | undefined
}

interface Share {
  readonly from: ByteSource
  bytes: number
}

const KINDS = ['peer', 'object-store', 'upstream'] as const
/** How many names an origin has, because it is stored with every blob. */
const MAX_NAMES = 4
/** Older stretches than this many are summed up: only how many bytes each source has brought is remembered of them. */
const MAX_STRETCHES = 256
/** The bytes of further sources are counted for one of the same kind. */
const MAX_SHARES = 64

/** Who has brought which bytes of a content. */
export class Provenance {
  #stretches: Stretch[] = []
  #olderShares = new Map<string, Share>()

  /** The source that brings bytes now. */
  get last(): ByteSource | undefined {
    return this.#stretches.at(-1)?.from
  }

  /** Says who brings the bytes from `position` on. */
  startFrom(position: number, from: ByteSource | undefined): void {
    if (this.#stretches.at(-1)?.start === position) this.#stretches.pop()
    this.#stretches.push({ start: position, from })
    if (this.#stretches.length <= MAX_STRETCHES) return
    const [oldest, next] = this.#stretches
    this.#stretches.shift()
    if (oldest !== undefined && next !== undefined) addStretch(this.#olderShares, oldest, next.start)
  }

  /** Says that the bytes after `position` were taken back. */
  truncate(position: number): void {
    this.#stretches = this.#stretches.filter(({ start }) => start < position)
    if (position === 0) this.#olderShares.clear()
  }

  /** Lists who has brought bytes before `end`, in the order in which the first of their bytes came. */
  contributors(end: number): readonly ByteSource[] {
    return [...this.#shares(end)].map(({ from }) => from)
  }

  /** The kind of source that has brought most bytes before `end`; when no kind has, the kind of the one that is asked. */
  mainSourceKind(end: number): Source['kind'] | undefined {
    const bytesOf = { peer: 0, 'object-store': 0, upstream: 0 }
    for (const { from, bytes } of this.#shares(end)) bytesOf[from.kind] += bytes
    const most = Math.max(...Object.values(bytesOf))
    const kinds = KINDS.filter((kind) => bytesOf[kind] === most)
    return kinds.length === 1 ? kinds[0] : this.last?.kind
  }

  #shares(end: number): Iterable<Share> {
    const shares = new Map<string, Share>()
    for (const [key, share] of this.#olderShares) shares.set(key, { ...share })
    for (const [index, stretch] of this.#stretches.entries()) {
      addStretch(shares, stretch, Math.min(end, this.#stretches[index + 1]?.start ?? end))
    }
    return shares.values()
  }
}

function addStretch(shares: Map<string, Share>, { start, from }: Stretch, end: number): void {
  if (from === undefined || end <= start) return
  const key = `${from.kind} ${from.id ?? from.name}`
  const share = shares.get(key) ?? (shares.size < MAX_SHARES ? undefined : shareOfKind(shares, from))
  if (share === undefined) shares.set(key, { from, bytes: end - start })
  else share.bytes += end - start
}

function shareOfKind(shares: Map<string, Share>, { kind }: ByteSource): Share | undefined {
  for (const share of shares.values()) if (share.from.kind === kind) return share
  return undefined
}

/** `upstream registry-1.docker.io`, or `peer node-3, peer node-7`. */
export function originText(contributors: readonly ByteSource[]): string {
  const names = contributors.slice(0, MAX_NAMES).map(({ kind, name }) => `${kind} ${name}`)
  const more = contributors.length - names.length
  return more === 0 ? names.join(', ') : `${names.join(', ')} and ${more} more`
}
