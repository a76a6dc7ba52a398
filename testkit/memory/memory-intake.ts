import { Failure } from '../../src/ports/failure.ts'
import type { ContentHead, Contributor, VouchedIntake } from '../../src/ports/source.ts'

export interface MemoryIntakeOptions {
  /** How much memory is lent at a time; default 16 KiB. */
  readonly window?: number
  /** After this many bytes `filled` gives false, until `drain` is called; default: never. */
  readonly room?: number
  /** The bytes that earlier attempts have brought. */
  readonly start?: Uint8Array
}

/** An intake that collects its bytes. It lends shared memory, as the real one does. */
export class MemoryIntake implements VouchedIntake {
  readonly heads: ContentHead[] = []
  /** The calls of `setContributor`. */
  readonly peers: { readonly position: number; readonly name: string }[] = []
  readonly vouched: { readonly first: number; readonly marks: Uint8Array }[] = []
  readonly #window: Uint8Array
  /** How much of the window is filled. */
  #filled = 0
  #taken: Uint8Array[] = []
  #position: number
  #room: number
  readonly #roomEach: number
  #waiting: { resolve: () => void; reject: (failure: Failure) => void } | undefined
  #failure: Failure | undefined
  #whenFull: (() => void)[] = []
  /** How often `filled` has given false. */
  pauses = 0

  constructor(options: MemoryIntakeOptions = {}) {
    this.#window = new Uint8Array(new SharedArrayBuffer(options.window ?? 16 * 1024))
    this.#roomEach = options.room ?? Number.POSITIVE_INFINITY
    this.#room = this.#roomEach
    this.#taken = options.start === undefined ? [] : [options.start]
    this.#position = options.start?.length ?? 0
  }

  get position(): number {
    return this.#position
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#taken)
  }

  expect(head: ContentHead): void {
    const known = this.heads.find((earlier) => earlier.size !== undefined)?.size
    if (known !== undefined && head.size !== undefined && head.size !== known) {
      throw new Failure('unavailable', 'the size has changed', { expected: known, found: head.size })
    }
    this.heads.push(head)
  }

  buffer(): Uint8Array {
    return this.#window.subarray(this.#filled)
  }

  filled(length: number): boolean {
    const { length: free } = this.buffer()
    if (length > free || length < 1) throw new RangeError(`filled(${length})`)
    // Slices are copies: the window is used again.
    this.#taken.push(Uint8Array.from(this.buffer().subarray(0, length)))
    this.#filled = length === free ? 0 : this.#filled + length
    this.#position += length
    this.#room -= length
    if (this.#room > 0) return true
    this.pauses += 1
    for (const tell of this.#whenFull.splice(0)) tell()
    return false
  }

  drained(): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    if (this.#room > 0) return Promise.resolve()
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject }
    })
  }

  setContributor({ name }: Contributor): void {
    this.peers.push({ position: this.#position, name })
  }

  vouch(first: number, marks: Uint8Array): void {
    this.vouched.push({ first, marks })
  }

  /** Resolves when `filled` has given false. */
  full(): Promise<void> {
    if (this.#room <= 0) return Promise.resolve()
    return new Promise((resolve) => this.#whenFull.push(resolve))
  }

  /** Makes room again. */
  drain(): void {
    this.#room = this.#roomEach
    this.#waiting?.resolve()
    this.#waiting = undefined
  }

  /** Makes every wait for room fail from now on. */
  fail(failure: Failure): void {
    this.#failure = failure
    this.#waiting?.reject(failure)
    this.#waiting = undefined
  }
}
