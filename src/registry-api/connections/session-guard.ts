import type { Socket } from 'node:net'
import type { Rejection } from '../../observe/events.ts'
import type { Reject } from './rejections.ts'

export interface SessionLimits {
  readonly maxStreams: number
}

/** What a client may send besides its requests: SETTINGS, PING, WINDOW_UPDATE, PRIORITY. */
const CREDIT_BYTES = 256 * 1024
const CREDIT_EACH_SECOND = 4 * 1024
/** For the HEADERS of a request; the compression of headers makes most of them much smaller. */
const CREDIT_EACH_STREAM = 8 * 1024
/** A client opens its windows again for what it has received: by 26 bytes for each few KiB. */
const CREDIT_EACH_BYTE_SENT = 1 / 16
/** So many times the streams that may be open at once may be opened in one turn of the event loop. */
const TIMES_IN_TURN = 4
/** So many streams may be reset before their answers, whatever the others do. */
const RESETS_AT_LEAST = 100
/** Of what happened longer ago, less counts. */
const STREAMS_REMEMBERED = 1000

/**
 * Watches one HTTP/2 connection. Frames cost their sender next to nothing, so one that sends many more of them than
 * its requests need is ended.
 */
export class SessionGuard {
  readonly #socket: Socket
  readonly #limits: SessionLimits
  readonly #reject: Reject
  #openedInTurn = 0
  #streams = 0
  #resets = 0
  #credit = CREDIT_BYTES
  #lookedAt = performance.now()
  #received: number
  #sent: number
  #isOver = false

  constructor(socket: Socket, limits: SessionLimits, reject: Reject) {
    this.#socket = socket
    this.#limits = limits
    this.#reject = reject
    this.#received = socket.bytesRead
    this.#sent = socket.bytesWritten
  }

  /** Whether the stream may be answered. */
  opened(): boolean {
    if (this.#isOver) return false
    this.#credit += CREDIT_EACH_STREAM
    this.#streams += 1
    // Within a turn of the event loop an honest client sees the ends of few streams, if of any.
    if (this.#openedInTurn === 0) setImmediate(() => (this.#openedInTurn = 0))
    this.#openedInTurn += 1
    if (this.#openedInTurn > TIMES_IN_TURN * this.#limits.maxStreams) return this.#end('streams')
    return this.look()
  }

  /** A stream was reset by its client before it had an answer. */
  wasReset(): void {
    this.#resets += 1
    if (this.#resets > RESETS_AT_LEAST && this.#resets > this.#streams / 2) this.#end('resets')
    if (this.#streams < STREAMS_REMEMBERED) return
    this.#streams /= 2
    this.#resets /= 2
  }

  /** Counts what has come. False when that was too much. */
  look(): boolean {
    if (this.#isOver) return false
    const { bytesRead, bytesWritten } = this.#socket
    const now = performance.now()
    this.#credit += ((now - this.#lookedAt) / 1000) * CREDIT_EACH_SECOND
    this.#credit += (bytesWritten - this.#sent) * CREDIT_EACH_BYTE_SENT
    this.#credit = Math.min(this.#credit, CREDIT_BYTES) - (bytesRead - this.#received)
    this.#lookedAt = now
    this.#received = bytesRead
    this.#sent = bytesWritten
    return this.#credit >= 0 || this.#end('frames')
  }

  #end(reason: Rejection): false {
    if (this.#isOver) return false
    this.#isOver = true
    this.#reject(reason)
    // Not a GOAWAY: it would wait until the client reads.
    this.#socket.destroy()
    return false
  }
}
