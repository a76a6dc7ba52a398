import { CHECKPOINT_BYTES, CHECKPOINT_INTERVAL_BYTES, Checkpoints } from '../../../oci/checkpoints.ts'
import type { Contributor } from '../../../ports/source.ts'

/** Bytes that one has brought, up to the start of the next stretch. */
interface Stretch {
  readonly start: number
  /** undefined: nobody knows any more. */
  readonly from: Contributor | undefined
  readonly suspect: boolean
}

/** Bytes that are not what was vouched for. */
export interface Dispute {
  /** Up to here they are. */
  readonly goodBytes: number
  /** Whoever may have brought the first that are not, as far as that is known. */
  readonly culprits: readonly Contributor[]
}

/** Who has brought so little each that it takes more to bring the whole is told apart no longer. */
const MOST_STRETCHES = 256
/** So often bytes and vouching may disagree before it is the vouching that is not believed. */
const MOST_DISPUTES = 2

/**
 * How far the bytes of one content can be relied on before all of them are verified. Some are suspect until somebody
 * vouches for them by marks; as one mark tells of everything before it, the latest that both sides have is compared.
 */
export class Vouching {
  #stretches: Stretch[] = []
  /** Marks number `first` and following, as they were told. */
  #vouched = new Checkpoints()
  #first = 0
  /** Up to here what is here is what was vouched for. */
  #sure = 0
  /** Of stretches that are all sure. */
  #firstSuspect: number | undefined
  readonly #past = new Map<string, Contributor>()
  #disputes = 0
  #believes = true

  /** The first byte that is not to be relied on. */
  get limit(): number {
    if (!this.#believes && this.#firstSuspect !== undefined) return this.#firstSuspect
    for (const [at, { start, suspect }] of this.#stretches.entries()) {
      if (suspect && this.#endOf(at) > this.#sure) return Math.max(start, this.#sure)
    }
    return Number.POSITIVE_INFINITY
  }

  /** Those who have brought what is suspect, or was until it was vouched for. */
  get suspects(): readonly Contributor[] {
    return this.#between(0, Number.POSITIVE_INFINITY, this.#past)
  }

  /** What comes from `position` on is from this one. */
  startFrom(position: number, from: Contributor | undefined, suspect: boolean): void {
    const last = this.#stretches.at(-1)
    if (last?.start === position) this.#stretches.pop()
    const before = this.#stretches.at(-1)
    if (before?.from?.id === from?.id && before?.suspect === suspect) return
    this.#stretches.push({ start: position, from, suspect })
    if (this.#stretches.length > MOST_STRETCHES) this.#merge()
  }

  /** Somebody who should know says that these are the marks from this number on. */
  vouch(first: number, marks: Uint8Array): void {
    if (!this.#believes || !Number.isSafeInteger(first) || first < 0) return
    const end = this.#first + this.#vouched.count
    if (first > end) {
      // Those before the gap are not needed: later ones tell of the same bytes.
      this.#vouched = new Checkpoints()
      this.#first = first
    }
    const count = Math.floor(marks.length / CHECKPOINT_BYTES)
    const known = Math.max(0, this.#first + this.#vouched.count - first)
    for (let number = Math.max(first, this.#first); number < first + Math.min(count, known); number++) {
      if (isMark(this.#vouched.at(number - this.#first), marks, number - first)) continue
      this.#disbelieve()
      return
    }
    this.#vouched.append(marks.subarray(known * CHECKPOINT_BYTES, count * CHECKPOINT_BYTES))
  }

  /** Compares; tells when suspect bytes are not what was vouched for. Others that are not make the vouching a lie. */
  check(own: Checkpoints): Dispute | undefined {
    const end = Math.min(own.count, this.#first + this.#vouched.count)
    const start = Math.max(this.#first, this.#sure / CHECKPOINT_INTERVAL_BYTES)
    if (end <= start) return undefined
    if (this.#agrees(own, end - 1)) {
      this.#rely(end * CHECKPOINT_INTERVAL_BYTES)
      return undefined
    }
    let wrong = start
    while (this.#agrees(own, wrong)) wrong += 1
    if (wrong > start) this.#rely(wrong * CHECKPOINT_INTERVAL_BYTES)
    if (this.limit < (wrong + 1) * CHECKPOINT_INTERVAL_BYTES) {
      return {
        goodBytes: this.#sure,
        culprits: this.#between(this.#sure, (wrong + 1) * CHECKPOINT_INTERVAL_BYTES),
      }
    }
    this.#disbelieve()
    return undefined
  }

  /** All of it up to `position` is wrong in the end; but not necessarily what was vouched for. */
  doubt(position: number): Dispute | undefined {
    if (this.#sure === 0 || this.limit >= position) return undefined
    return { goodBytes: this.#sure, culprits: this.#between(this.#sure, position) }
  }

  /** What came after `position` was taken back, as it was not what was vouched for. */
  takeBack(position: number): void {
    this.truncate(position)
    this.#disputes += 1
    if (this.#disputes >= MOST_DISPUTES) this.#disbelieve()
  }

  /** What came after `position` was given up. */
  truncate(position: number): void {
    this.#stretches = this.#stretches.filter(({ start }) => start < position)
    this.#sure = Math.min(this.#sure, position)
    if (position <= (this.#firstSuspect ?? 0)) this.#firstSuspect = undefined
  }

  /** Everything was wrong, and what was vouched for with it. */
  startOver(): void {
    if (this.#sure > 0) this.#disbelieve()
    this.#stretches = []
    this.#sure = 0
    this.#firstSuspect = undefined
    this.#past.clear()
  }

  #endOf(at: number): number {
    return this.#stretches[at + 1]?.start ?? Number.POSITIVE_INFINITY
  }

  #between(start: number, end: number, more?: ReadonlyMap<string, Contributor>): readonly Contributor[] {
    const found = new Map(more)
    for (const [at, stretch] of this.#stretches.entries()) {
      const { from, suspect } = stretch
      if (suspect && from !== undefined && stretch.start < end && this.#endOf(at) > start)
        found.set(from.id, from)
    }
    return [...found.values()]
  }

  #agrees(own: Checkpoints, number: number): boolean {
    return isMark(own.at(number), this.#vouched.at(number - this.#first), 0)
  }

  #rely(position: number): void {
    this.#sure = position
    for (
      let [next] = this.#stretches;
      next !== undefined && this.#endOf(0) <= position;
      [next] = this.#stretches
    ) {
      this.#stretches.shift()
      if (!next.suspect) continue
      this.#firstSuspect ??= next.start
      if (next.from !== undefined && this.#past.size < MOST_STRETCHES) this.#past.set(next.from.id, next.from)
    }
    if (this.#first + this.#vouched.count > position / CHECKPOINT_INTERVAL_BYTES) return
    this.#vouched = new Checkpoints()
    this.#first = position / CHECKPOINT_INTERVAL_BYTES
  }

  #disbelieve(): void {
    this.#believes = false
    this.#sure = 0
    this.#vouched = new Checkpoints()
    this.#first = 0
  }

  #merge(): void {
    const [one, other] = this.#stretches.splice(0, 2)
    if (one === undefined || other === undefined) return
    const suspect = one.suspect || other.suspect
    this.#stretches.unshift({ start: one.start, from: one.suspect ? one.from : other.from, suspect })
  }
}

function isMark(mark: Uint8Array, marks: Uint8Array, number: number): boolean {
  const start = number * CHECKPOINT_BYTES
  return mark.every((byte, at) => byte === marks[start + at])
}
