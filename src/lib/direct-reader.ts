const NOTHING = Buffer.alloc(0)
/** More than one TLS read can hold back after a pause. */
const MAX_HELD_BYTES = 1024 * 1024
/** For all readers: what is read into it is looked at before anything else can be read. */
const scratch = Buffer.allocUnsafeSlow(64 * 1024)

/** What a protocol makes of the bytes. */
export interface DirectReaderOptions {
  /** Nothing more is to be taken for now. */
  readonly isBlocked: () => boolean
  /** Memory that the next bytes are to go to, never empty; or at most so many of them are to come to `take`. */
  readonly room: () => Uint8Array | number
  /** So much of that memory was filled. */
  readonly filled: (length: number) => void
  /** Takes what it can of these bytes in one step, and gives how many. Their memory is used again. */
  readonly take: (bytes: Buffer) => number
  /** The error when more comes than anybody can have asked for. */
  readonly overflowError: () => Error
}

/**
 * Has a socket's bytes read by the kernel straight into the memory that they are for (`onread`): no stream buffers, no
 * copies. For the socket, `room` is where the next bytes go, and `filled` is called when they are there.
 *
 * Three traps: Node asks for the next buffer after every callback, also after one that paused, and takes an empty one
 * as the end of memory (ENOBUFS). Whatever it is given may be filled to the brim, so that memory is only given out for
 * bytes that are known to belong there. And a TLS socket hands over what it has decrypted already even when the callback
 * has paused it: while blocked only memory of the reader's own is given out, and what comes is held.
 */
export class DirectReader {
  readonly #options: DirectReaderOptions
  #isDirect = false
  /** What came while it could not be taken. */
  #held: Buffer = NOTHING

  constructor(options: DirectReaderOptions) {
    this.#options = options
  }

  get heldBytes(): number {
    return this.#held.length
  }

  room(): Uint8Array {
    this.#isDirect = false
    if (this.#options.isBlocked()) return scratch
    const room = this.#options.room()
    if (typeof room === 'number') return room < scratch.length ? scratch.subarray(0, room) : scratch
    this.#isDirect = true
    return room
  }

  /** So much of the last `room` was filled. */
  filled(length: number): void {
    if (this.#isDirect) this.#options.filled(length)
    else this.receive(scratch.subarray(0, length))
  }

  /** Bytes in memory that is used again. */
  receive(bytes: Buffer): void {
    const { isBlocked, take, overflowError } = this.#options
    let rest = bytes
    if (this.#held.length > 0) {
      rest = Buffer.concat([this.#held, bytes])
      this.#held = NOTHING
    }
    while (rest.length > 0 && !isBlocked()) rest = rest.subarray(take(rest))
    // A copy: the memory is used again at once.
    this.#held = rest.length === 0 ? NOTHING : Buffer.from(rest)
    if (rest.length > MAX_HELD_BYTES) throw overflowError()
  }

  /** It is not blocked any more: what was held comes first. */
  resume(): void {
    if (this.#held.length > 0) this.receive(NOTHING)
  }

  dropHeld(): void {
    this.#held = NOTHING
  }
}
