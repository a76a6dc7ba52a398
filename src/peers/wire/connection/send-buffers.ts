import { onAbort } from '../../../lib/async/abort.ts'

/** The content in one write. Larger writes do not make a transfer faster, and smaller ones share the uplink more evenly. */
export const SEND_BUFFER_BYTES = 256 * 1024
/** One buffer is being written, one is next, and one is being filled. The socket would only copy more of them together. */
const MAX_BUFFERS_PER_TRANSFER = 3
/** How many buffers stay allocated while nothing is sent. */
const MAX_IDLE_BUFFERS = 4

/** The buffers that all transfers to one member use together. */
interface MemberUse {
  transfers: number
  usedBuffers: number
}

interface BufferRequest {
  readonly use: MemberUse
  readonly grant: (buffer: Uint8Array) => void
}

/**
 * The memory through which all content is sent to other members. The more transfers there are, the fewer buffers each may
 * use. All transfers to one member together use at most half of the memory, or an equal share when there are more than
 * two members. A transfer that finds no buffer waits, in the order of the requests.
 */
export class SendBuffers {
  readonly #maxBuffers: number
  readonly #free: Uint8Array[] = []
  readonly #requests = new Set<BufferRequest>()
  readonly #uses = new Map<string, MemberUse>()
  #allocatedCount = 0
  #transferCount = 0

  constructor(totalBytes: number) {
    this.#maxBuffers = Math.max(1, Math.floor(totalBytes / SEND_BUFFER_BYTES))
  }

  /** How many buffers transfers use. */
  get lentCount(): number {
    return this.#allocatedCount - this.#free.length
  }

  /** How many allocated buffers no transfer uses. */
  get freeCount(): number {
    return this.#free.length
  }

  /** Opens a transfer to a member. */
  openTransfer(member: string): TransferBuffers {
    const use = this.#uses.get(member) ?? { transfers: 0, usedBuffers: 0 }
    this.#uses.set(member, use)
    use.transfers += 1
    this.#transferCount += 1
    return new TransferBuffers({
      maxUsed: () =>
        Math.max(1, Math.min(MAX_BUFFERS_PER_TRANSFER, Math.floor(this.#maxBuffers / this.#transferCount))),
      acquire: (options) => this.#acquire(use, options),
      release: (buffer) => this.#release(member, use, buffer),
      close: () => {
        this.#transferCount -= 1
        use.transfers -= 1
        this.#forgetUnused(member, use)
        this.#grantRequests()
      },
    })
  }

  #acquire(use: MemberUse, { signal }: { signal: AbortSignal }): Uint8Array | Promise<Uint8Array> {
    const buffer = this.#mayUseMore(use) ? this.#takeBuffer() : undefined
    if (buffer !== undefined) {
      use.usedBuffers += 1
      return buffer
    }
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason)
      const grant = (granted: Uint8Array): void => {
        stop()
        resolve(granted)
      }
      const request: BufferRequest = { use, grant }
      const stop = onAbort(signal, () => {
        this.#requests.delete(request)
        reject(signal.reason)
      })
      this.#requests.add(request)
    })
  }

  /** The only member leaves one buffer free too, so that the next member can begin at once. */
  #mayUseMore({ usedBuffers }: MemberUse): boolean {
    const members = this.#uses.size
    const guaranteed = members > 1 ? 1 : Math.min(MAX_BUFFERS_PER_TRANSFER, this.#maxBuffers - 1)
    return usedBuffers < Math.max(1, guaranteed, Math.floor(this.#maxBuffers / Math.max(2, members)))
  }

  #takeBuffer(): Uint8Array | undefined {
    const free = this.#free.pop()
    if (free !== undefined || this.#allocatedCount >= this.#maxBuffers) return free
    this.#allocatedCount += 1
    return Buffer.allocUnsafeSlow(SEND_BUFFER_BYTES)
  }

  #release(member: string, use: MemberUse, buffer: Uint8Array): void {
    use.usedBuffers -= 1
    this.#free.push(buffer)
    this.#forgetUnused(member, use)
    this.#grantRequests()
    if (this.#transferCount > 0 || this.#free.length <= MAX_IDLE_BUFFERS) return
    this.#free.pop()
    this.#allocatedCount -= 1
  }

  #forgetUnused(member: string, { transfers, usedBuffers }: MemberUse): void {
    if (transfers === 0 && usedBuffers === 0) this.#uses.delete(member)
  }

  #grantRequests(): void {
    for (const request of this.#requests) {
      if (!this.#mayUseMore(request.use)) continue
      const buffer = this.#takeBuffer()
      if (buffer === undefined) return
      this.#requests.delete(request)
      request.use.usedBuffers += 1
      request.grant(buffer)
    }
  }
}

interface BufferSource {
  maxUsed(): number
  acquire(options: { signal: AbortSignal }): Uint8Array | Promise<Uint8Array>
  release(buffer: Uint8Array): void
  close(): void
}

/** The buffers of one transfer. */
export class TransferBuffers {
  readonly #source: BufferSource
  #usedCount = 0
  #onRelease: (() => void) | undefined

  constructor(source: BufferSource) {
    this.#source = source
  }

  get usedCount(): number {
    return this.#usedCount
  }

  get isFull(): boolean {
    return this.#usedCount >= this.#source.maxUsed()
  }

  /** Must not be called while the transfer is full. */
  async acquire(options: { signal: AbortSignal }): Promise<Uint8Array> {
    this.#usedCount += 1
    try {
      return await this.#source.acquire(options)
    } catch (error) {
      this.#usedCount -= 1
      throw error
    }
  }

  release(buffer: Uint8Array): void {
    this.#usedCount -= 1
    this.#source.release(buffer)
    const listener = this.#onRelease
    this.#onRelease = undefined
    listener?.()
  }

  /** Calls `listener` at the next release. It replaces an earlier listener. */
  onRelease(listener: (() => void) | undefined): void {
    this.#onRelease = listener
  }

  /** Buffers that the socket still writes are released later. */
  close(): void {
    this.#onRelease = undefined
    this.#source.close()
  }
}
