import type { BodySink } from '../../lib/http1/body-transfer.ts'

/** The disk takes few large pieces faster than many small ones. */
const PIECE_BYTES = 1024 * 1024

/** Two pieces of memory for a body: the socket fills one while the other is hashed and written. */
export class BodyPieces implements BodySink {
  readonly #free: Uint8Array[] = [new Uint8Array(PIECE_BYTES), new Uint8Array(PIECE_BYTES)]
  readonly #full: Uint8Array[] = []
  #filling: Uint8Array | undefined
  #filled = 0
  #received = 0
  #end: { readonly error: unknown } | undefined
  /** Who waits: the socket for a free piece, or the reader for a full one. */
  #wake: (() => void)[] = []

  /** How many bytes have come. */
  get received(): number {
    return this.#received
  }

  /** No byte can come until a piece is free. */
  get isFull(): boolean {
    return this.#filling === undefined && this.#free.length === 0
  }

  buffer(): Uint8Array {
    this.#filling ??= this.#free.pop()
    if (this.#filling === undefined) throw new Error('there is no free piece: wait for `drained`')
    return this.#filling.subarray(this.#filled)
  }

  filled(length: number): boolean {
    this.#received += length
    this.#filled += length
    if (this.#filled === PIECE_BYTES) this.#finishPiece()
    return !this.isFull
  }

  async drained(): Promise<void> {
    while (this.isFull) await this.#changed()
  }

  /** Says that no more bytes come: the body is complete, or has failed with `error`. */
  end(error?: unknown): void {
    if (this.#end !== undefined) return
    if (this.#filling !== undefined && this.#filled > 0) this.#finishPiece()
    this.#end = { error }
    this.#notify()
  }

  /** Gives the pieces in order; each is filled again when the next one is asked for. What came before a failure is given, too. */
  async *pieces(): AsyncGenerator<Uint8Array> {
    for (;;) {
      const piece = this.#full.shift()
      if (piece !== undefined) {
        yield piece
        this.#free.push(new Uint8Array(piece.buffer))
        this.#notify()
      } else if (this.#end !== undefined) {
        if (this.#end.error !== undefined) throw this.#end.error
        return
      } else await this.#changed()
    }
  }

  #finishPiece(): void {
    const piece = this.#filling?.subarray(0, this.#filled)
    this.#filling = undefined
    this.#filled = 0
    if (piece !== undefined) this.#full.push(piece)
    this.#notify()
  }

  #changed(): Promise<void> {
    return new Promise((resolve) => this.#wake.push(resolve))
  }

  #notify(): void {
    for (const wake of this.#wake.splice(0)) wake()
  }
}
