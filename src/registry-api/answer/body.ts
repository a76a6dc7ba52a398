import { onAbort } from '../../lib/async/abort.ts'
import type { ByteRange } from '../../oci/range.ts'
import type { Content } from '../../ports/content.ts'
import { Failure } from '../../ports/failure.ts'
import { ClientGone, type HttpExchange } from '../exchange/http-exchange.ts'
import type { BodyBuffers, BufferPool, PooledBuffer } from './buffer-pool.ts'
import type { BodyPart, Selection } from './selection.ts'
import type { SendSlot } from './send-slot.ts'
import type { SendSlots } from './send-slots.ts'

/** The part of `Content` that a body is read from. */
export type BodySource = Pick<Content, 'size' | 'readable' | 'read'>

/** The shared resources that bodies are sent with. */
export interface BodyResources {
  readonly buffers: BufferPool
  readonly slots: SendSlots
  /** How long the status line waits for the first byte of a content that is being fetched. */
  readonly firstByteMs: number
}

/** Answers with the selected parts of a content. */
export async function sendSelection(
  exchange: HttpExchange,
  content: BodySource,
  { status, headers, parts }: Extract<Selection, { readonly parts: unknown }>,
  { buffers, slots, firstByteMs }: BodyResources,
): Promise<void> {
  const { signal } = exchange
  // A transfer that fails before its first byte can still be answered with an error, so the status line waits for it.
  const start = parts[0]?.range?.start ?? 0
  await waitForByte(content, start, { timeoutMs: firstByteMs, signal })
  const slot = await slots.take(exchange, { signal })
  try {
    exchange.begin(status, headers)
    await sendParts(exchange, content, parts, { buffers, slot, signal })
  } finally {
    slot.end()
  }
}

/**
 * Sends parts of a content as the body of an exchange whose headers are set. The next buffer is read while those before
 * it are being written, which is as fast as sendfile; a buffer returns to the pool when the kernel has its bytes.
 */
async function sendParts(
  exchange: HttpExchange,
  content: BodySource,
  parts: readonly BodyPart[],
  { buffers, slot, signal }: { buffers: BufferPool; slot: SendSlot; signal: AbortSignal },
): Promise<void> {
  const writer = new BodyWriter(exchange, buffers.open(), slot, signal)
  try {
    for (const { text, range } of parts) {
      if (text !== undefined) writer.writeText(text)
      if (range !== undefined) await sendRange(writer, content, range, { signal })
    }
    exchange.finish()
  } finally {
    writer.close()
  }
}

/** Waits until the byte at `offset` can be read, or for `timeoutMs`. Rejects when the byte will not come. */
async function waitForByte(
  content: BodySource,
  offset: number,
  { timeoutMs, signal }: { timeoutMs: number; signal: AbortSignal },
): Promise<void> {
  if (offset >= content.size) return
  const readable = content.readable(offset, { signal })
  if (typeof readable === 'number') return
  let timer: NodeJS.Timeout | undefined
  const timeout = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, timeoutMs)
  })
  try {
    await Promise.race([readable, timeout])
  } finally {
    clearTimeout(timer)
    // A failure after the timeout is reported again by the next call of `readable`.
    readable.catch(() => {})
  }
}

async function sendRange(
  writer: BodyWriter,
  content: BodySource,
  { start, end }: ByteRange,
  { signal }: { signal: AbortSignal },
): Promise<void> {
  let offset = start
  while (offset < end) {
    signal.throwIfAborted()
    let readable = content.readable(offset, { signal })
    if (typeof readable !== 'number') {
      writer.flushHeaders()
      readable = await writer.pauseUntil(readable)
    }
    const length = Math.min(readable, end) - offset
    const buffer = writer.takeBuffer(length) ?? (await writer.waitForBuffer(length))
    const filled = await fillBuffer(content, buffer, length, offset)
    writer.writeBuffer(buffer, filled)
    offset += filled
  }
}

async function fillBuffer(
  content: BodySource,
  buffer: PooledBuffer,
  length: number,
  offset: number,
): Promise<number> {
  let filled = 0
  try {
    const target = length < buffer.bytes.length ? buffer.bytes.subarray(0, length) : buffer.bytes
    filled = await content.read(target, offset)
  } finally {
    if (filled <= 0) buffer.release()
  }
  if (filled <= 0) {
    throw new Failure('disk', 'the stored content is shorter than its recorded size', {
      expected: content.size,
      found: offset,
    })
  }
  return filled
}

/** Writes a body to the client, and returns each buffer to the pool when it is sent. */
class BodyWriter {
  readonly #exchange: HttpExchange
  readonly #buffers: BodyBuffers
  readonly #slot: SendSlot
  readonly #signal: AbortSignal
  readonly #stopListening: () => void
  #onWriteDone: (() => void) | undefined
  #hasWriteFailed = false
  #areHeadersSent = false

  constructor(exchange: HttpExchange, buffers: BodyBuffers, slot: SendSlot, signal: AbortSignal) {
    this.#exchange = exchange
    this.#buffers = buffers
    this.#slot = slot
    this.#signal = signal
    this.#stopListening = onAbort(signal, () => this.#wakeWaiter())
  }

  takeBuffer(wantedBytes: number): PooledBuffer | undefined {
    return this.#buffers.take(wantedBytes)
  }

  async waitForBuffer(wantedBytes: number): Promise<PooledBuffer> {
    for (;;) {
      await new Promise<void>((resolve) => {
        this.#onWriteDone = resolve
      })
      if (this.#hasWriteFailed) throw new ClientGone()
      this.#signal.throwIfAborted()
      const buffer = this.#buffers.take(wantedBytes)
      if (buffer !== undefined) return buffer
    }
  }

  writeBuffer(buffer: PooledBuffer, length: number): void {
    this.#areHeadersSent = true
    const { bytes } = buffer
    this.#write(length < bytes.length ? bytes.subarray(0, length) : bytes, () => buffer.release())
  }

  writeText(text: Buffer): void {
    this.#write(text, () => {})
  }

  /** Sends the headers while the first byte of the body is not there yet. */
  flushHeaders(): void {
    if (this.#areHeadersSent) return
    this.#areHeadersSent = true
    this.#exchange.flush()
  }

  /** While this body has nothing to send, another body may have its send slot and its reserved buffer. */
  async pauseUntil<Result>(promise: Promise<Result>): Promise<Result> {
    this.#slot.pause()
    this.#buffers.pause()
    const result = await promise
    await this.#slot.resume()
    this.#buffers.resume()
    return result
  }

  close(): void {
    this.#stopListening()
    this.#buffers.close()
  }

  #write(bytes: Uint8Array, onDone: () => void): void {
    this.#slot.onWrite(bytes.length)
    this.#exchange.write(bytes, (error) => {
      onDone()
      this.#slot.onWriteDone()
      if (error) this.#hasWriteFailed = true
      this.#wakeWaiter()
    })
  }

  #wakeWaiter(): void {
    const wake = this.#onWriteDone
    this.#onWriteDone = undefined
    wake?.()
  }
}
