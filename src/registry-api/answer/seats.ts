import { onAbort } from '../../lib/async/abort.ts'
import { Failure } from '../../ports/failure.ts'
import { FairShare, type Holder, type ShareLimits } from '../connections/fair-share.ts'
import type { ReportRejection } from '../connections/rejections.ts'

/** Whose body it is, and how that body is ended when another needs its seat. */
export interface Sender extends Holder {
  evict(): void
}

export interface SeatLimits extends ShareLimits {
  /** How long a body waits for a seat before it is told to come back. */
  readonly waitMs: number
  /** While others wait, a client that takes less than `STEP` in this time loses its seat. */
  readonly slowMs: number
  /** Who has waited for so long gets the seat of another who has many, though that one moves. */
  readonly fairMs: number
  readonly maxWaiting: number
}

/** So many bytes are to be taken in `slowMs`; a larger write may take as much longer. */
const STEP = 64 * 1024
const SWEEP_MS = 50
/** How long a body that has begun waits for its seat again. */
const RESUME_MS = 10_000

interface Waiting {
  readonly sender: Sender
  readonly since: number
  readonly seated: () => void
  readonly refused: () => void
}

/**
 * The right to send a body: there are only so many. Who finds none free waits for one, and meanwhile the slowest of those
 * that hold the most is sent away, so that clients that take nothing cannot keep the others out.
 */
export class Seats {
  readonly #limits: SeatLimits
  readonly #reportRejection: ReportRejection
  readonly #share: FairShare
  readonly #seats = new Set<Seat>()
  readonly #waiting: Waiting[] = []
  #sweep: NodeJS.Timeout | undefined

  constructor(limits: SeatLimits, reportRejection: ReportRejection) {
    this.#limits = limits
    this.#reportRejection = reportRejection
    this.#share = new FairShare(limits)
  }

  get held(): number {
    return this.#seats.size
  }

  get waiting(): number {
    return this.#waiting.length
  }

  /** Rejects with a `Failure` when none comes free in time. */
  async take(sender: Sender, { signal }: { signal: AbortSignal }): Promise<Seat> {
    await this.#turn(sender, this.#limits.waitMs, signal)
    return new Seat(sender, {
      again: () => this.#turn(sender, RESUME_MS, signal),
      entered: (seat) => this.#seats.add(seat),
      isWanted: () => this.#waiting.length > 0,
      left: (seat) => {
        this.#seats.delete(seat)
        this.#share.release(sender)
        this.#next()
      },
    })
  }

  /** Resolves when the sender's share counts one more. */
  #turn(sender: Sender, waitMs: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.reject(signal.reason)
    if (this.#share.mayTake(sender)) {
      this.#share.take(sender)
      return Promise.resolve()
    }
    if (this.#waiting.length >= this.#limits.maxWaiting && !this.#dropWaiting(sender)) {
      return Promise.reject(this.#refused())
    }
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        clearTimeout(timer)
        stop()
        this.#waiting.splice(this.#waiting.indexOf(waiting), 1)
      }
      const waiting: Waiting = {
        sender,
        since: performance.now(),
        refused: () => {
          leave()
          reject(this.#refused())
        },
        seated: () => {
          leave()
          this.#share.take(sender)
          resolve()
        },
      }
      const timer = setTimeout(() => waiting.refused(), waitMs)
      const stop = onAbort(signal, () => {
        leave()
        reject(signal.reason)
      })
      this.#waiting.push(waiting)
      this.#makeRoom()
    })
  }

  #refused(): Failure {
    this.#reportRejection('seats')
    return new Failure('busy', 'This agent is sending as many bodies as it may.', { retryAfterMs: 1000 })
  }

  /** Of those that wait, one that holds more than a newcomer does makes room for it. */
  #dropWaiting(newcomer: Sender): boolean {
    let found: Waiting | undefined
    let most = this.#share.shareOf(newcomer)
    for (const waiting of this.#waiting) {
      const share = this.#share.shareOf(waiting.sender)
      if (share <= most) continue
      found = waiting
      most = share
    }
    found?.refused()
    return found !== undefined
  }

  /** A seat has become free: it goes to a client on this machine first, then to who holds the least. */
  #next(): void {
    for (;;) {
      let best: Waiting | undefined
      for (const waiting of this.#waiting) {
        if (!this.#share.mayTake(waiting.sender)) continue
        if (best === undefined || this.#comesBefore(waiting.sender, best.sender)) best = waiting
      }
      if (best === undefined) return
      best.seated()
    }
  }

  #comesBefore(one: Sender, other: Sender): boolean {
    if (one.client.isLocal !== other.client.isLocal) return one.client.isLocal
    return this.#share.shareOf(one) < this.#share.shareOf(other)
  }

  /** Takes seats from who does not need them now, then from the slowest; looks again while somebody waits. */
  #makeRoom(): void {
    let leaving = 0
    for (const seat of this.#seats) if (seat.isEvicted) leaving += 1
    // Some may be free for those on this machine only: then it takes a seat of another to make room for another.
    const isFull = this.#share.isFull
    for (const waiting of [...this.#waiting]) {
      const { sender } = waiting
      if (!this.#waiting.includes(waiting) || !this.#share.isBelowOwnLimits(sender)) continue
      if (leaving > 0) {
        leaving -= 1
        continue
      }
      const mayLeave = (seat: Seat): boolean => isFull || !seat.sender.client.isLocal
      if (this.#lent(mayLeave)) continue
      const found = this.#slowest(mayLeave) ?? this.#greediest(waiting, mayLeave)
      if (found === undefined) continue
      this.#reportRejection('slow')
      found.evict()
    }
    if (this.#waiting.length === 0) return
    this.#sweep ??= setTimeout(() => {
      this.#sweep = undefined
      if (this.#waiting.length > 0) this.#makeRoom()
    }, SWEEP_MS)
  }

  #lent(mayLeave: (seat: Seat) => boolean): boolean {
    for (const seat of this.#seats) if (mayLeave(seat) && seat.yieldIfResting()) return true
    return false
  }

  #slowest(mayLeave: (seat: Seat) => boolean): Seat | undefined {
    const now = performance.now()
    let found: Seat | undefined
    let share = 0
    for (const seat of this.#seats) {
      if (seat.isEvicted || !seat.isSlow(now, this.#limits.slowMs) || !mayLeave(seat)) continue
      const own = this.#share.shareOf(seat.sender)
      if (found !== undefined && (own < share || (own === share && seat.waitsSince >= found.waitsSince)))
        continue
      found = seat
      share = own
    }
    return found
  }

  /** One of whoever has many, for who has waited long and has few. */
  #greediest({ sender, since }: Waiting, mayLeave: (seat: Seat) => boolean): Seat | undefined {
    if (performance.now() - since < this.#limits.fairMs) return undefined
    let found: Seat | undefined
    let most = this.#share.largeShareFor(sender)
    for (const seat of this.#seats) {
      const own = this.#share.shareOf(seat.sender)
      if (seat.isEvicted || own < most || !mayLeave(seat)) continue
      found = seat
      most = own + 1
    }
    return found
  }
}

interface Room {
  again(): Promise<void>
  entered(seat: Seat): void
  isWanted(): boolean
  left(seat: Seat): void
}

/** One body's right to be sent. Its owner leaves it; it is free when the client has taken, or lost, all that was sent. */
export class Seat {
  readonly sender: Sender
  readonly #room: Room
  /** The sizes of the writes that the client has not taken yet. */
  readonly #out: number[] = []
  #movedAt = 0
  #isHeld = true
  #isResting = false
  #isLeft = false
  #isEvicted = false

  constructor(sender: Sender, room: Room) {
    this.sender = sender
    this.#room = room
    room.entered(this)
  }

  /** Since when the client has not moved on; never, while nothing waits for it. */
  get waitsSince(): number {
    return this.#out.length === 0 ? Number.POSITIVE_INFINITY : this.#movedAt
  }

  get isEvicted(): boolean {
    return this.#isEvicted
  }

  isSlow(now: number, slowMs: number): boolean {
    const [next] = this.#out
    return next !== undefined && now - this.#movedAt >= slowMs * Math.max(1, next / STEP)
  }

  sending(bytes: number): void {
    if (this.#out.length === 0) this.#movedAt = performance.now()
    this.#out.push(bytes)
  }

  /** The client, or nobody any more, has taken what was sent first of what it had not taken yet. */
  taken(): void {
    this.#out.shift()
    this.#movedAt = performance.now()
    if (this.#out.length > 0) return
    if (this.#isLeft) this.#free()
    else if (this.#room.isWanted()) this.yieldIfResting()
  }

  /** There is nothing to send for now. */
  rest(): void {
    this.#isResting = true
    if (this.#room.isWanted()) this.yieldIfResting()
  }

  /** There is something to send again. */
  async resume(): Promise<void> {
    this.#isResting = false
    if (this.#isHeld) return
    await this.#room.again()
    this.#isHeld = true
    this.#room.entered(this)
  }

  /** Whether it has given its seat up for now. */
  yieldIfResting(): boolean {
    if (!this.#isResting || this.#out.length > 0 || !this.#isHeld) return false
    this.#free()
    return true
  }

  evict(): void {
    this.#isEvicted = true
    this.sender.evict()
  }

  leave(): void {
    this.#isLeft = true
    if (this.#out.length === 0) this.#free()
  }

  #free(): void {
    if (!this.#isHeld) return
    this.#isHeld = false
    this.#room.left(this)
  }
}
