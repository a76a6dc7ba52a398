const NOTHING = Buffer.alloc(0)
/** One TLS read delivers less than this after a pause. */
const MAX_UNREAD_BYTES = 1024 * 1024
/** All readers share this memory: its bytes are taken or copied before anything else can be read. */
const scratch = Buffer.allocUnsafeSlow(64 * 1024)

/** What a protocol does with the bytes of its socket. */
export interface DirectReaderOptions {
  /** The protocol takes no more bytes for now. */
  readonly isBlocked: () => boolean
  /** Gives memory for the next bytes, never empty; or a number: `take` is to get at most so many bytes. */
  readonly room: () => Uint8Array | number
  /** Says that `length` bytes of that memory were filled. */
  readonly filled: (length: number) => void
  /** Takes as many of these bytes as it can in one step, and gives how many. Their memory is used again. */
  readonly take: (bytes: Buffer) => number
  /** Gives the error for bytes that exceed `MAX_UNREAD_BYTES` while the protocol is blocked. */
  readonly overflowError: () => Error
}

/**
 * Lets the kernel read a socket's bytes straight into the memory that they belong in (`onread`): no stream buffers them,
 * and nothing is copied. The socket asks `room` for memory, and calls `filled` when bytes are in it.
 *
 * Node has three traps. It asks for the next buffer after every callback, also after one that has paused the socket, and
 * reports an empty buffer as ENOBUFS. It may fill a buffer to its end, so the reader gives out memory of the protocol only
 * for bytes that are known to belong in it. And a TLS socket delivers bytes that it has decrypted already even when the
 * callback has paused it, so the reader gives out only its own memory while the protocol is blocked, and keeps these bytes.
 */
export class DirectReader {
  readonly #options: DirectReaderOptions
  #isDirect = false
  /** Bytes that came while the protocol was blocked. */
  #unread: Buffer = NOTHING

  constructor(options: DirectReaderOptions) {
    this.#options = options
  }

  get unreadBytes(): number {
    return this.#unread.length
  }

  room(): Uint8Array {
    this.#isDirect = false
    if (this.#options.isBlocked()) return scratch
    const room = this.#options.room()
    if (typeof room === 'number') return room < scratch.length ? scratch.subarray(0, room) : scratch
    this.#isDirect = true
    return room
  }

  /** Says that `length` bytes of the last `room` were filled. */
  filled(length: number): void {
    if (this.#isDirect) this.#options.filled(length)
    else this.receive(scratch.subarray(0, length))
  }

  /** Takes bytes in memory that is used again. */
  receive(bytes: Buffer): void {
    const { isBlocked, take, overflowError } = this.#options
    let rest = bytes
    if (this.#unread.length > 0) {
      rest = Buffer.concat([this.#unread, bytes])
      this.#unread = NOTHING
    }
    while (rest.length > 0 && !isBlocked()) rest = rest.subarray(take(rest))
    // The memory of `rest` is used again at once, so its bytes are copied.
    this.#unread = rest.length === 0 ? NOTHING : Buffer.from(rest)
    if (rest.length > MAX_UNREAD_BYTES) throw overflowError()
  }

  /** Takes the bytes that came while the protocol was blocked. It must be called before the socket is read again. */
  resume(): void {
    if (this.#unread.length > 0) this.receive(NOTHING)
  }

  dropUnread(): void {
    this.#unread = NOTHING
  }
}
