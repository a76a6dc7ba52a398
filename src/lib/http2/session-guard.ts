import type { Socket } from 'node:net'

export interface SessionGuardLimits {
  readonly maxStreams: number
  /** How many bytes of bodies may have come that `onBodyBytes` has not been told of yet; default 0. */
  readonly unreadBytes?: () => number
}

/** Of what a client has sent too much. */
export type SessionFault = 'streams' | 'resets' | 'frames'

/** Bytes that a client may send besides its requests: SETTINGS, PING, WINDOW_UPDATE, PRIORITY. */
const CREDIT_BYTES = 256 * 1024
const CREDIT_BYTES_PER_SECOND = 4 * 1024
/** The bytes for the HEADERS frames of a request. Header compression makes most of them much smaller. */
const CREDIT_BYTES_PER_STREAM = 8 * 1024
/** A client sends a WINDOW_UPDATE for what it has received: 26 bytes for every few KiB. */
const CREDIT_BYTES_PER_BYTE_SENT = 1 / 16
/** The frames of a body have a header each, and clients fill most of them. */
const CREDIT_BYTES_PER_BODY_BYTE = 1 + 1 / 64
/** In one turn of the event loop a client may open four times as many streams as may be open at once. */
const MAX_STREAM_TURNOVER = 4
/** This many streams may be reset before their answers, whatever share of all streams they are. */
const MIN_ALLOWED_RESETS = 100
/** The counts of streams and resets are halved at this many streams, so that recent ones weigh more. */
const STREAMS_BEFORE_HALVING = 1000

/**
 * Watches one HTTP/2 connection. Frames cost their sender almost nothing, so a connection that sends many more frames
 * than its requests need is closed.
 */
export class SessionGuard {
  readonly #socket: Socket
  readonly #limits: SessionGuardLimits
  readonly #onFault: (fault: SessionFault) => void
  #openedInTurn = 0
  #streams = 0
  #resets = 0
  #creditBytes = CREDIT_BYTES
  #checkedAt = performance.now()
  #bytesRead: number
  /** The bytes of request bodies since the last check. */
  #bodyBytes = 0
  #bytesWritten: number
  #isClosed = false

  constructor(socket: Socket, limits: SessionGuardLimits, onFault: (fault: SessionFault) => void) {
    this.#socket = socket
    this.#limits = limits
    this.#onFault = onFault
    this.#bytesRead = socket.bytesRead
    this.#bytesWritten = socket.bytesWritten
  }

  /** Returns whether the stream may be answered. */
  onStreamOpened(): boolean {
    if (this.#isClosed) return false
    this.#creditBytes += CREDIT_BYTES_PER_STREAM
    this.#streams += 1
    // Within one turn of the event loop an honest client can learn of the end of few streams, if any.
    if (this.#openedInTurn === 0) setImmediate(() => (this.#openedInTurn = 0))
    this.#openedInTurn += 1
    if (this.#openedInTurn > MAX_STREAM_TURNOVER * this.#limits.maxStreams) return this.#close('streams')
    return this.checkTraffic()
  }

  /** The client reset a stream before its answer began. */
  onStreamReset(): void {
    this.#resets += 1
    if (this.#resets > MIN_ALLOWED_RESETS && this.#resets > this.#streams / 2) this.#close('resets')
    if (this.#streams < STREAMS_BEFORE_HALVING) return
    this.#streams /= 2
    this.#resets /= 2
  }

  /** Bytes of a request body that is wanted have come: they need no credit. */
  onBodyBytes(bytes: number): void {
    this.#bodyBytes += bytes
  }

  /** Counts the bytes received since the last check. Returns false when the client has sent too many. */
  checkTraffic(): boolean {
    if (this.#isClosed) return false
    const { bytesRead, bytesWritten } = this.#socket
    const now = performance.now()
    this.#creditBytes += ((now - this.#checkedAt) / 1000) * CREDIT_BYTES_PER_SECOND
    this.#creditBytes += (bytesWritten - this.#bytesWritten) * CREDIT_BYTES_PER_BYTE_SENT
    const received = bytesRead - this.#bytesRead - this.#bodyBytes * CREDIT_BYTES_PER_BODY_BYTE
    this.#creditBytes = Math.min(this.#creditBytes, CREDIT_BYTES) - received
    this.#bodyBytes = 0
    this.#checkedAt = now
    this.#bytesRead = bytesRead
    this.#bytesWritten = bytesWritten
    const { unreadBytes = () => 0 } = this.#limits
    return this.#creditBytes + unreadBytes() >= 0 || this.#close('frames')
  }

  #close(fault: SessionFault): false {
    if (this.#isClosed) return false
    this.#isClosed = true
    this.#onFault(fault)
    // GOAWAY would wait until the client reads, so the connection is destroyed instead.
    this.#socket.destroy()
    return false
  }
}
