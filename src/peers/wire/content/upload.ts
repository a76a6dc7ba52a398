import { onAbort } from '../../../lib/async/abort.ts'
import type { RateLimiter } from '../../../lib/async/rate-limiter.ts'
import type { Content } from '../../../ports/content.ts'
import { Failure } from '../../../ports/failure.ts'
import { SEND_BUFFER_BYTES, type SendBuffers, type TransferBuffers } from '../connection/send-buffers.ts'

export interface UploadOptions {
  /** Users see this name. */
  readonly peerName: string
  /** Identifies the member that receives the content: it shares the send buffers with this member's other transfers. */
  readonly receiverKey: string
  readonly sendBuffers: SendBuffers
  /** Limits all uploads of this node together. */
  readonly limiter: RateLimiter
  /** The peer must read at least one buffer in this time. */
  readonly stallMs: number
  /** Is aborted when the connection is closed. */
  readonly signal: AbortSignal
  /** Calls `done` when the buffer is free again, whether it was sent or not. */
  readonly write: (bytes: Uint8Array, done: () => void) => void
}

/** The peer does not read what is sent. The content itself has not failed. */
export class PeerStalled extends Error {
  readonly failure: Failure

  constructor(failure: Failure) {
    super(failure.message, { cause: failure })
    this.name = 'PeerStalled'
    this.failure = failure
  }
}

/**
 * Sends a content from an offset to its end. What is readable is sent at once, however little it is. The next buffer is
 * read while the one before it is being written.
 */
export async function uploadContent(content: Content, from: number, options: UploadOptions): Promise<void> {
  const { receiverKey, sendBuffers, limiter, signal, write } = options
  const buffers = sendBuffers.openTransfer(receiverKey)
  try {
    let offset = from
    while (offset < content.size) {
      const readable = content.readable(offset, { signal })
      // An `await` of a number would cost a turn of the event loop for each buffer of a stored blob.
      const end = typeof readable === 'number' ? readable : await readable
      const length = Math.min(end - offset, SEND_BUFFER_BYTES, limiter.quantumBytes)
      const granted = limiter.take(length, { signal })
      if (granted !== undefined) await granted
      while (buffers.isFull) await nextRelease(buffers, options)
      const buffer = await buffers.acquire({ signal })
      const filled = await fill(content, offset, buffer, length).catch((error: unknown) => {
        buffers.release(buffer)
        throw error
      })
      signal.throwIfAborted()
      write(buffer.subarray(0, filled), () => buffers.release(buffer))
      offset += filled
    }
    while (buffers.usedCount > 0) await nextRelease(buffers, options)
  } finally {
    buffers.close()
  }
}

async function fill(content: Content, offset: number, buffer: Uint8Array, length: number): Promise<number> {
  const filled = await content.read(buffer.subarray(0, length), offset)
  if (filled <= 0) {
    throw new Failure('disk', 'stored content ended before its size', {
      expected: content.size,
      found: offset,
    })
  }
  return filled
}

/** Rejects with `PeerStalled` when the peer reads no buffer in time. */
function nextRelease(buffers: TransferBuffers, { peerName, stallMs, signal }: UploadOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason)
    const settle = (): void => {
      clearTimeout(timer)
      stop()
      buffers.onRelease(undefined)
    }
    const timer = setTimeout(() => {
      settle()
      const message = `${peerName}: does not read the content that it asked for`
      reject(new PeerStalled(new Failure('stalled', message, { source: peerName })))
    }, stallMs)
    const stop = onAbort(signal, () => {
      settle()
      reject(signal.reason)
    })
    buffers.onRelease(() => {
      settle()
      resolve()
    })
  })
}
