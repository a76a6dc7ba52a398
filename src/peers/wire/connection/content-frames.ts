import type { ContentReceive } from './content-receive.ts'

/**
 * The content that a connection receives: how much of the current frame is still to come, and the receive that takes it. The
 * head of a frame may arrive before the receive begins; the connection is not read until then.
 */
export class ContentFrames {
  /** How many bytes of the current frame are still to come. */
  #frameBytesLeft = 0
  #receive: ContentReceive | undefined

  get frameBytesLeft(): number {
    return this.#frameBytesLeft
  }

  /** The receive that takes content now. */
  get receive(): ContentReceive | undefined {
    return this.#receive
  }

  /** No bytes of content can be taken for now: the receive is paused, or has not begun. */
  get isBlocked(): boolean {
    return this.#receive?.isPaused === true || (this.#frameBytesLeft > 0 && this.#receive === undefined)
  }

  /** Content is on its way, or a receive waits for some. */
  get isUnderWay(): boolean {
    return this.#frameBytesLeft > 0 || this.#receive !== undefined
  }

  /** `length` bytes of content follow in the current frame. */
  beginFrame(length: number): void {
    this.#frameBytesLeft = length
  }

  beginReceive(receive: ContentReceive): void {
    this.#receive = receive
  }

  /** Ends the receive without the rest of its bytes. */
  fail(reason: unknown): void {
    const receive = this.#receive
    this.#receive = undefined
    receive?.fail(reason)
  }

  /** Gives memory of the intake for bytes of the current frame. */
  buffer(receive: ContentReceive): Uint8Array {
    return receive.buffer(this.#frameBytesLeft)
  }

  /** Copies content that was read into other memory, together with the head of its frame. Gives how much it has copied. */
  copy(bytes: Uint8Array): number {
    if (this.#receive === undefined) return 0
    const memory = this.buffer(this.#receive)
    const length = Math.min(memory.length, bytes.length)
    memory.set(bytes.subarray(0, length))
    this.filled(length)
    return length
  }

  /** `length` bytes of the current frame are in the intake's memory. */
  filled(length: number): void {
    const receive = this.#receive
    if (receive === undefined) return
    this.#frameBytesLeft -= length
    receive.filled(length)
    if (receive.missingBytes === 0) this.#receive = undefined
  }
}
