import { onAbort } from '../../lib/async/abort.ts'
import type { ByteRange } from '../../oci/range.ts'
import type { Content } from '../../ports/content.ts'
import { Failure } from '../../ports/failure.ts'
import type { BodyBuffers, Loan, Piece } from './buffers.ts'
import { ClientGone, type Exchange } from './exchange.ts'
import type { Part, Selection } from './parts.ts'
import type { Seat, Seats } from './seats.ts'

/** What bodies are read from. */
export type Readable = Pick<Content, 'size' | 'readable' | 'read'>

/** What bodies are sent with. */
export interface BodyDesk {
  readonly buffers: BodyBuffers
  readonly seats: Seats
  /** How long the status line waits for the first byte of content that is on its way. */
  readonly firstByteMs: number
}

/** Answers with the parts of a content that were asked for. */
export async function sendSelected(
  exchange: Exchange,
  content: Readable,
  { status, headers, parts }: Extract<Selection, { readonly parts: unknown }>,
  { buffers, seats, firstByteMs }: BodyDesk,
): Promise<void> {
  const { signal } = exchange
  // A transfer that fails before its first byte can still be told as an error, so the status line waits for that.
  const start = parts[0]?.range?.start ?? 0
  await firstByte(content, start, { patienceMs: firstByteMs, signal })
  const seat = await seats.take(exchange, { signal })
  try {
    exchange.begin(status, headers)
    await sendBody(exchange, content, parts, { buffers, seat, signal })
  } finally {
    seat.leave()
  }
}

/**
 * Sends parts of a content as the body of an exchange whose headers are set. The next piece is read while the ones
 * before it are being written, which is as fast as sendfile; a piece goes back to the pool when the kernel has it.
 */
async function sendBody(
  exchange: Exchange,
  content: Readable,
  parts: readonly Part[],
  { buffers, seat, signal }: { buffers: BodyBuffers; seat: Seat; signal: AbortSignal },
): Promise<void> {
  const outlet = new Outlet(exchange, buffers.open(), seat, signal)
  try {
    for (const { text, range } of parts) {
      if (text !== undefined) outlet.text(text)
      if (range !== undefined) await sendRange(outlet, content, range, { signal })
    }
    exchange.finish()
  } finally {
    outlet.close()
  }
}

/** Until the first byte is there, but not much longer than clients wait for a status line. Fails if it will not come. */
async function firstByte(
  content: Readable,
  offset: number,
  { patienceMs, signal }: { patienceMs: number; signal: AbortSignal },
): Promise<void> {
  if (offset >= content.size) return
  const readable = content.readable(offset, { signal })
  if (typeof readable === 'number') return
  let timer: NodeJS.Timeout | undefined
  const patience = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, patienceMs)
  })
  try {
    await Promise.race([readable, patience])
  } finally {
    clearTimeout(timer)
    // Whoever reads on will be told of a later failure again.
    readable.catch(() => {})
  }
}

async function sendRange(
  outlet: Outlet,
  content: Readable,
  { start, end }: ByteRange,
  { signal }: { signal: AbortSignal },
): Promise<void> {
  let offset = start
  while (offset < end) {
    signal.throwIfAborted()
    let readable = content.readable(offset, { signal })
    if (typeof readable !== 'number') {
      outlet.flush()
      readable = await outlet.without(readable)
    }
    const length = Math.min(readable, end) - offset
    const piece = outlet.take(length) ?? (await outlet.nextPiece(length))
    const filled = await fill(content, piece, length, offset)
    outlet.write(piece, filled)
    offset += filled
  }
}

async function fill(content: Readable, piece: Piece, length: number, offset: number): Promise<number> {
  let filled = 0
  try {
    const target = length < piece.bytes.length ? piece.bytes.subarray(0, length) : piece.bytes
    filled = await content.read(target, offset)
  } finally {
    if (filled <= 0) piece.release()
  }
  if (filled <= 0) {
    throw new Failure('disk', 'stored content ended before its size', {
      expected: content.size,
      found: offset,
    })
  }
  return filled
}

/** Where pieces leave for the client and come back from. */
class Outlet {
  readonly #exchange: Exchange
  readonly #loan: Loan
  readonly #seat: Seat
  readonly #signal: AbortSignal
  readonly #stopListening: () => void
  #waiting: (() => void) | undefined
  #broken = false
  #flushed = false

  constructor(exchange: Exchange, loan: Loan, seat: Seat, signal: AbortSignal) {
    this.#exchange = exchange
    this.#loan = loan
    this.#seat = seat
    this.#signal = signal
    this.#stopListening = onAbort(signal, () => this.#moved())
  }

  take(most: number): Piece | undefined {
    return this.#loan.take(most)
  }

  async nextPiece(most: number): Promise<Piece> {
    for (;;) {
      await new Promise<void>((resolve) => {
        this.#waiting = resolve
      })
      if (this.#broken) throw new ClientGone()
      this.#signal.throwIfAborted()
      const piece = this.#loan.take(most)
      if (piece !== undefined) return piece
    }
  }

  write(piece: Piece, length: number): void {
    this.#flushed = true
    const { bytes } = piece
    this.#send(length < bytes.length ? bytes.subarray(0, length) : bytes, () => piece.release())
  }

  text(text: Buffer): void {
    this.#send(text, () => {})
  }

  /** The headers need not wait for the first byte. */
  flush(): void {
    if (this.#flushed) return
    this.#flushed = true
    this.#exchange.flush()
  }

  /** While there is nothing to send, another may have the seat. */
  async without<Result>(waited: Promise<Result>): Promise<Result> {
    this.#seat.rest()
    this.#loan.rest()
    const result = await waited
    await this.#seat.resume()
    this.#loan.resume()
    return result
  }

  close(): void {
    this.#stopListening()
    this.#loan.close()
  }

  #send(bytes: Uint8Array, taken: () => void): void {
    this.#seat.sending(bytes.length)
    this.#exchange.write(bytes, (error) => {
      taken()
      this.#seat.taken()
      if (error) this.#broken = true
      this.#moved()
    })
  }

  #moved(): void {
    const resume = this.#waiting
    this.#waiting = undefined
    resume?.()
  }
}
