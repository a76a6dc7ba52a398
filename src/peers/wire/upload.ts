import { onAbort } from '../../lib/async/abort.ts'
import type { RateLimiter } from '../../lib/async/rate-limiter.ts'
import type { Content } from '../../ports/content.ts'
import { Failure } from '../../ports/failure.ts'
import { HEAD_BYTES, putBytesHead } from './frames.ts'
import { PIECE_BYTES, type Pieces, type Seat } from './send-buffers.ts'

export interface UploadOptions {
  /** Who gets it, for people. */
  readonly who: string
  /** Whose share of the memory it takes. */
  readonly taker: string
  readonly pieces: Pieces
  /** Of all uploads together. */
  readonly pace: RateLimiter
  /** The other side takes at least one piece in this time, or is given up. */
  readonly stallMs: number
  /** Aborted when nobody will take any more. */
  readonly signal: AbortSignal
  /** Calls `done` when the memory may be used again, whatever has become of it. */
  readonly write: (bytes: Uint8Array, done: () => void) => void
}

/** It was not the content that failed. */
export class Untaken extends Error {
  readonly failure: Failure

  constructor(failure: Failure) {
    super(failure.message, { cause: failure })
    this.name = 'Untaken'
    this.failure = failure
  }
}

/**
 * Sends a content from an offset to its end, as it comes: what can be read goes at once, however little it is. The next
 * piece is read while the one before it is being written.
 */
export async function upload(content: Content, from: number, options: UploadOptions): Promise<void> {
  const { taker, pieces, pace, signal, write } = options
  const seat = pieces.seat(taker)
  try {
    let offset = from
    while (offset < content.size) {
      const coming = content.readable(offset, { signal })
      const readable = typeof coming === 'number' ? coming : await coming
      const length = Math.min(readable - offset, PIECE_BYTES, pace.quantumBytes)
      const turn = pace.take(length, { signal })
      if (turn !== undefined) await turn
      while (seat.isFull) await nextBack(seat, options)
      const piece = await seat.take({ signal })
      const filled = await fill(content, offset, piece, length).catch((error: unknown) => {
        seat.giveBack(piece)
        throw error
      })
      signal.throwIfAborted()
      write(piece.subarray(0, HEAD_BYTES + filled), () => seat.giveBack(piece))
      offset += filled
    }
    while (seat.held > 0) await nextBack(seat, options)
  } finally {
    seat.leave()
  }
}

async function fill(content: Content, offset: number, piece: Uint8Array, length: number): Promise<number> {
  const filled = await content.read(piece.subarray(HEAD_BYTES, HEAD_BYTES + length), offset)
  if (filled <= 0) {
    throw new Failure('disk', 'stored content ended before its size', {
      expected: content.size,
      found: offset,
    })
  }
  putBytesHead(piece, filled)
  return filled
}

/** Until the other side has taken a piece, which it is expected to. */
function nextBack(seat: Seat, { who, stallMs, signal }: UploadOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason)
    const settle = (): void => {
      clearTimeout(timer)
      stop()
      seat.onBack(undefined)
    }
    const timer = setTimeout(() => {
      settle()
      const why = `${who}: takes nothing of what it asked for`
      reject(new Untaken(new Failure('stalled', why, { source: who })))
    }, stallMs)
    const stop = onAbort(signal, () => {
      settle()
      reject(signal.reason)
    })
    seat.onBack(() => {
      settle()
      resolve()
    })
  })
}
