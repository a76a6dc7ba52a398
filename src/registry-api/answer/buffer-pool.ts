const SLAB_BYTES = 1024 * 1024
/** The sizes of shared buffers: large ones while few bodies are sent, small ones so that many bodies can have some. */
const BUFFER_SIZES = [SLAB_BYTES, 256 * 1024, 64 * 1024] as const
const RESERVED_BUFFER_BYTES = 16 * 1024
/** The part of the pool that is cut into reserved buffers. */
const RESERVED_SHARE = 1 / 4
/** The most buffers that one body may use at once: one is filled while two are being sent. */
const MAX_BUFFERS_PER_BODY = 3

/** How many bodies can be sent at once through a pool of this size so that each has a reserved buffer. */
export function maxBodies(poolBytes: number): number {
  return Math.max(1, Math.floor((poolBytes * RESERVED_SHARE) / RESERVED_BUFFER_BYTES))
}

/** Memory of the pool for one read and the write after it. */
export interface PooledBuffer {
  readonly bytes: Uint8Array
  /** To be called exactly once, when nothing reads `bytes` any more. */
  release(): void
}

/**
 * The memory through which all bodies are sent. Three quarters are shared: in large buffers while few bodies are sent,
 * in small ones when there are many. The rest is cut into reserved buffers, one for each body, so every body makes
 * progress even when clients that stall hold all shared buffers.
 */
export class BufferPool {
  readonly #maxSlabs: number
  readonly #slabs: Slab[] = []
  readonly #reserved: Uint8Array[] = []
  #openBodies = 0
  #buffersInUse = 0

  constructor(poolBytes: number) {
    this.#maxSlabs = Math.floor((poolBytes * (1 - RESERVED_SHARE)) / SLAB_BYTES)
  }

  get buffersInUse(): number {
    return this.#buffersInUse
  }

  /** Opens the buffers of one body. `SendSlots` limits the bodies that are not paused to `maxBodies`. */
  open(): BodyBuffers {
    return new BodyBuffers({
      onOpened: () => {
        this.#openBodies += 1
      },
      takeShared: (wantedBytes) => this.#takeShared(wantedBytes),
      takeReserved: () => this.#reserved.pop() ?? Buffer.allocUnsafeSlow(RESERVED_BUFFER_BYTES),
      onInUse: (change) => {
        this.#buffersInUse += change
      },
      onClosed: (reserved) => {
        this.#openBodies -= 1
        if (reserved !== undefined) this.#reserved.push(reserved)
      },
    })
  }

  #takeShared(wantedBytes: number): PooledBuffer | undefined {
    const fairBytes = (this.#maxSlabs * SLAB_BYTES) / (MAX_BUFFERS_PER_BODY * this.#openBodies)
    const size = BUFFER_SIZES.find((size) => size <= fairBytes && size < 2 * wantedBytes) ?? BUFFER_SIZES[2]
    return this.#slabFor(size)?.take()
  }

  #slabFor(size: number): Slab | undefined {
    const cut = this.#slabs.find((slab) => slab.bufferBytes === size && slab.hasFree)
    if (cut !== undefined) return cut
    const unused = this.#slabs.find((slab) => slab.isUnused)
    if (unused !== undefined) return unused.cut(size)
    if (this.#slabs.length < this.#maxSlabs) {
      const added = new Slab().cut(size)
      this.#slabs.push(added)
      return added
    }
    return this.#slabs.find((slab) => slab.hasFree)
  }
}

/** What the buffers of a body need from the pool. */
interface PoolAccess {
  onOpened(): void
  takeShared(wantedBytes: number): PooledBuffer | undefined
  takeReserved(): Uint8Array
  onInUse(change: 1 | -1): void
  onClosed(reserved: Uint8Array | undefined): void
}

/** The buffers of one body. */
export class BodyBuffers {
  readonly #pool: PoolAccess
  #inUse = 0
  #reserved: Uint8Array | undefined
  #isReservedInUse = false
  #isOpen = false
  /** The body takes no more buffers, for now or for good. */
  #isPaused = false

  constructor(pool: PoolAccess) {
    this.#pool = pool
    this.resume()
  }

  /** Undefined when the body uses as many buffers as it may; it can take the next one after a release. */
  take(wantedBytes: number): PooledBuffer | undefined {
    if (this.#inUse === MAX_BUFFERS_PER_BODY) return undefined
    const shared = this.#pool.takeShared(wantedBytes)
    if (shared !== undefined) return this.#use(shared.bytes, () => shared.release())
    if (this.#isReservedInUse) return undefined
    this.#reserved ??= this.#pool.takeReserved()
    this.#isReservedInUse = true
    return this.#use(this.#reserved, () => {
      this.#isReservedInUse = false
    })
  }

  /** The body has nothing to send for now: its reserved buffer returns to the pool once no buffer is in use. */
  pause(): void {
    this.#isPaused = true
    if (this.#inUse === 0) this.#close()
  }

  resume(): void {
    this.#isPaused = false
    if (this.#isOpen) return
    this.#isOpen = true
    this.#pool.onOpened()
  }

  close(): void {
    this.pause()
  }

  #close(): void {
    if (!this.#isOpen) return
    this.#isOpen = false
    const reserved = this.#reserved
    this.#reserved = undefined
    this.#pool.onClosed(reserved)
  }

  #use(bytes: Uint8Array, release: () => void): PooledBuffer {
    this.#inUse += 1
    this.#pool.onInUse(1)
    return {
      bytes,
      release: () => {
        release()
        this.#inUse -= 1
        this.#pool.onInUse(-1)
        if (this.#isPaused && this.#inUse === 0) this.#close()
      },
    }
  }
}

/** One allocation, cut into buffers of one size. */
class Slab {
  readonly #memory = Buffer.allocUnsafeSlow(SLAB_BYTES)
  #free: Uint8Array[] = []
  #inUse = 0
  bufferBytes: number = SLAB_BYTES

  get hasFree(): boolean {
    return this.#free.length > 0
  }

  get isUnused(): boolean {
    return this.#inUse === 0
  }

  cut(size: number): this {
    this.bufferBytes = size
    this.#free = []
    for (let start = 0; start < SLAB_BYTES; start += size)
      this.#free.push(this.#memory.subarray(start, start + size))
    return this
  }

  take(): PooledBuffer | undefined {
    const bytes = this.#free.pop()
    if (bytes === undefined) return undefined
    this.#inUse += 1
    return {
      bytes,
      release: () => {
        this.#inUse -= 1
        this.#free.push(bytes)
      },
    }
  }
}
