import type { ByteRange } from '../oci/range.ts'
import type { Content } from '../resolve/content.ts'
import { Failure } from '../resolve/failure.ts'
import type { BodyBuffers, Piece, Seat } from './buffers.ts'
import { ClientGone, type Exchange } from './exchange.ts'
import type { Part } from './parts.ts'

/**
 * Sends parts of a content as the body of an exchange whose headers are set. The next piece is read while the ones
 * before it are being written, which is as fast as sendfile; a piece goes back to the pool when the kernel has it.
 */
export async function sendBody(
  exchange: Exchange,
  content: Content,
  parts: readonly Part[],
  options: { buffers: BodyBuffers; signal: AbortSignal },
): Promise<void> {
  const { signal } = options
  const seat = await options.buffers.seat({ signal })
  const outlet = new Outlet(exchange, seat, signal)
  try {
    for (const { text, range } of parts) {
      if (text !== undefined) outlet.text(text)
      if (range !== undefined) await sendRange(outlet, content, range, { signal })
    }
    exchange.finish()
  } finally {
    outlet.close()
    seat.leave()
  }
}

/** Until the first byte is there, but not much longer than clients wait for a status line. Fails if it will not come. */
export async function firstByte(
  content: Content,
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
  content: Content,
  { start, end }: ByteRange,
  { signal }: { signal: AbortSignal },
): Promise<void> {
  let offset = start
  while (offset < end) {
    signal.throwIfAborted()
    let readable = content.readable(offset, { signal })
    if (typeof readable !== 'number') {
      outlet.flush()
      readable = await readable
    }
    const length = Math.min(readable, end) - offset
    const piece = outlet.take(length) ?? (await outlet.nextPiece(length))
    const filled = await fill(content, piece, length, offset)
    outlet.write(piece, filled)
    offset += filled
  }
}

async function fill(content: Content, piece: Piece, length: number, offset: number): Promise<number> {
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
  readonly #seat: Seat
  readonly #signal: AbortSignal
  readonly #onAbort = () => this.#moved()
  #waiting: (() => void) | undefined
  #broken = false
  #flushed = false

  constructor(exchange: Exchange, seat: Seat, signal: AbortSignal) {
    this.#exchange = exchange
    this.#seat = seat
    this.#signal = signal
    signal.addEventListener('abort', this.#onAbort)
  }

  take(most: number): Piece | undefined {
    return this.#seat.take(most)
  }

  async nextPiece(most: number): Promise<Piece> {
    for (;;) {
      await new Promise<void>((resolve) => {
        this.#waiting = resolve
      })
      if (this.#broken) throw new ClientGone()
      this.#signal.throwIfAborted()
      const piece = this.#seat.take(most)
      if (piece !== undefined) return piece
    }
  }

  write(piece: Piece, length: number): void {
    this.#flushed = true
    const { bytes } = piece
    this.#exchange.write(length < bytes.length ? bytes.subarray(0, length) : bytes, (error) => {
      piece.release()
      if (error) this.#broken = true
      this.#moved()
    })
  }

  text(text: Buffer): void {
    this.#exchange.write(text, () => {})
  }

  /** The headers need not wait for the first byte. */
  flush(): void {
    if (this.#flushed) return
    this.#flushed = true
    this.#exchange.flush()
  }

  close(): void {
    this.#signal.removeEventListener('abort', this.#onAbort)
  }

  #moved(): void {
    const resume = this.#waiting
    this.#waiting = undefined
    resume?.()
  }
}
