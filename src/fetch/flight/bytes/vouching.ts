import { CHECKPOINT_BYTES, CHECKPOINT_INTERVAL_BYTES, Checkpoints } from '../../../oci/checkpoints.ts'
import type { Contributor } from '../../../ports/source.ts'

/** Bytes from one contributor, up to the start of the next stretch. */
interface Stretch {
  readonly start: number
  /** undefined: an earlier run has left the bytes. */
  readonly from: Contributor | undefined
  /** Whether the bytes may be passed on only when somebody vouches for them. */
  readonly isSuspect: boolean
}

/** Bytes that differ from what somebody vouched for. */
export interface Dispute {
  /** Up to this position the bytes are those that were vouched for. */
  readonly goodBytes: number
  /** The contributors of which one has brought the first bytes that differ, as far as they are known. */
  readonly culprits: readonly Contributor[]
}

/** When contributors change more often, two stretches become one, and only one of their contributors is remembered. */
const MAX_STRETCHES = 256
/** After this many disputes the vouching is no longer believed. */
const MAX_DISPUTES = 2

/**
 * How far the bytes of a content can be relied on before all of them are verified. Suspect bytes are relied on as far as
 * checkpoints vouch for them. A checkpoint covers all bytes before it, so only the last one that both sides have is
 * compared.
 */
export class Vouching {
  /** The contributors of the bytes; without the stretches that are wholly vouched for. */
  #stretches: Stretch[] = []
  /** The checkpoints that somebody vouched for, from number `#first` on. */
  #vouched = new Checkpoints()
  #first = 0
  /** Up to this position the bytes are those that were vouched for. */
  #goodBytes = 0
  /** The start of the first suspect stretch that is wholly vouched for. */
  #firstSuspect: number | undefined
  /** The contributors of suspect stretches that are wholly vouched for. */
  readonly #pastSuspects = new Map<string, Contributor>()
  #disputes = 0
  #isBelieved = true

  /** The first byte that cannot be relied on. */
  get limit(): number {
    if (!this.#isBelieved && this.#firstSuspect !== undefined) return this.#firstSuspect
    for (const [index, { start, isSuspect }] of this.#stretches.entries()) {
      if (isSuspect && this.#endOf(index) > this.#goodBytes) return Math.max(start, this.#goodBytes)
    }
    return Number.POSITIVE_INFINITY
  }

  /** The contributors of bytes that are suspect, or were until somebody vouched for them. */
  get suspects(): readonly Contributor[] {
    return this.#suspectsBetween(0, Number.POSITIVE_INFINITY, this.#pastSuspects)
  }

  /** Says who brings the bytes from `position` on. */
  startFrom(position: number, from: Contributor | undefined, isSuspect: boolean): void {
    const last = this.#stretches.at(-1)
    if (last?.start === position) this.#stretches.pop()
    const before = this.#stretches.at(-1)
    if (before?.from?.id === from?.id && before?.isSuspect === isSuspect) return
    this.#stretches.push({ start: position, from, isSuspect })
    if (this.#stretches.length > MAX_STRETCHES) this.#mergeOldest()
  }

  /** Takes the checkpoints from number `first` on, as somebody vouches for them. */
  vouch(first: number, checkpoints: Uint8Array): void {
    if (!this.#isBelieved || !Number.isSafeInteger(first) || first < 0) return
    const end = this.#first + this.#vouched.count
    if (first > end) {
      // The checkpoints before the gap are not needed, because later ones cover the same bytes.
      this.#vouched = new Checkpoints()
      this.#first = first
    }
    const count = Math.floor(checkpoints.length / CHECKPOINT_BYTES)
    const known = Math.max(0, this.#first + this.#vouched.count - first)
    for (let number = Math.max(first, this.#first); number < first + Math.min(count, known); number++) {
      if (isCheckpoint(this.#vouched.at(number - this.#first), checkpoints, number - first)) continue
      this.#disbelieve()
      return
    }
    this.#vouched.append(checkpoints.subarray(known * CHECKPOINT_BYTES, count * CHECKPOINT_BYTES))
  }

  /**
   * Compares the checkpoints of the bytes with those that were vouched for. Gives a dispute when suspect bytes differ. When
   * other bytes differ, the vouching was wrong and is no longer believed.
   */
  check(own: Checkpoints): Dispute | undefined {
    const end = Math.min(own.count, this.#first + this.#vouched.count)
    const start = Math.max(this.#first, this.#goodBytes / CHECKPOINT_INTERVAL_BYTES)
    if (end <= start) return undefined
    if (this.#agrees(own, end - 1)) {
      this.#relyOn(end * CHECKPOINT_INTERVAL_BYTES)
      return undefined
    }
    let wrong = start
    while (this.#agrees(own, wrong)) wrong += 1
    if (wrong > start) this.#relyOn(wrong * CHECKPOINT_INTERVAL_BYTES)
    const wrongEnd = (wrong + 1) * CHECKPOINT_INTERVAL_BYTES
    if (this.limit < wrongEnd) return this.#disputeUpTo(wrongEnd)
    this.#disbelieve()
    return undefined
  }

  /**
   * Gives the dispute about a content of `size` bytes whose digest is wrong: about the bytes that nobody vouched for.
   * undefined when there are none, or nothing else.
   */
  doubt(size: number): Dispute | undefined {
    return this.#goodBytes === 0 || this.limit >= size ? undefined : this.#disputeUpTo(size)
  }

  /** Says that the bytes after `position` were taken back, because of a dispute. */
  takeBack(position: number): void {
    this.truncate(position)
    this.#disputes += 1
    if (this.#disputes >= MAX_DISPUTES) this.#disbelieve()
  }

  /** Says that the bytes after `position` were given up. */
  truncate(position: number): void {
    this.#stretches = this.#stretches.filter(({ start }) => start < position)
    this.#goodBytes = Math.min(this.#goodBytes, position)
    if (position <= (this.#firstSuspect ?? 0)) this.#firstSuspect = undefined
  }

  /** Says that all bytes were wrong, and with them what was vouched for. */
  startOver(): void {
    if (this.#goodBytes > 0) this.#disbelieve()
    this.#stretches = []
    this.#goodBytes = 0
    this.#firstSuspect = undefined
    this.#pastSuspects.clear()
  }

  #endOf(index: number): number {
    return this.#stretches[index + 1]?.start ?? Number.POSITIVE_INFINITY
  }

  #disputeUpTo(end: number): Dispute {
    const goodBytes = this.#goodBytes
    return { goodBytes, culprits: this.#suspectsBetween(goodBytes, end) }
  }

  #suspectsBetween(
    start: number,
    end: number,
    others?: ReadonlyMap<string, Contributor>,
  ): readonly Contributor[] {
    const found = new Map(others)
    for (const [index, stretch] of this.#stretches.entries()) {
      const { from, isSuspect } = stretch
      const isBetween = stretch.start < end && this.#endOf(index) > start
      if (isSuspect && isBetween && from !== undefined) found.set(from.id, from)
    }
    return [...found.values()]
  }

  #agrees(own: Checkpoints, number: number): boolean {
    return isCheckpoint(own.at(number), this.#vouched.at(number - this.#first), 0)
  }

  #relyOn(position: number): void {
    this.#goodBytes = position
    for (
      let [oldest] = this.#stretches;
      oldest !== undefined && this.#endOf(0) <= position;
      [oldest] = this.#stretches
    ) {
      this.#stretches.shift()
      if (!oldest.isSuspect) continue
      this.#firstSuspect ??= oldest.start
      const { from } = oldest
      if (from !== undefined && this.#pastSuspects.size < MAX_STRETCHES) this.#pastSuspects.set(from.id, from)
    }
    if (this.#first + this.#vouched.count > position / CHECKPOINT_INTERVAL_BYTES) return
    this.#vouched = new Checkpoints()
    this.#first = position / CHECKPOINT_INTERVAL_BYTES
  }

  #disbelieve(): void {
    this.#isBelieved = false
    this.#goodBytes = 0
    this.#vouched = new Checkpoints()
    this.#first = 0
  }

  #mergeOldest(): void {
    const [one, other] = this.#stretches.splice(0, 2)
    if (one === undefined || other === undefined) return
    const isSuspect = one.isSuspect || other.isSuspect
    this.#stretches.unshift({ start: one.start, from: one.isSuspect ? one.from : other.from, isSuspect })
  }
}

function isCheckpoint(checkpoint: Uint8Array, checkpoints: Uint8Array, number: number): boolean {
  const start = number * CHECKPOINT_BYTES
  return checkpoint.every((byte, index) => byte === checkpoints[start + index])
}
