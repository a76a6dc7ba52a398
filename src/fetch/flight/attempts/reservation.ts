import type { Incoming } from '../../../ports/blob-store.ts'

/** How far ahead of the bytes room is reserved while nobody has said the size. */
const STEP_BYTES = 64 * 1024 * 1024
/** How far ahead room is reserved while only peers have said the size. */
const UNCONFIRMED_STEP_BYTES = 16 * 1024 * 1024

/** Reserves room on the disk: all of it once upstream has said the size, and some ahead of the bytes before that. */
export class Reservation {
  readonly #incoming: Incoming
  #limit: number
  #size: number | undefined
  #reserved = 0

  /** `limit` is how large the content may be while nobody has said its size. */
  constructor(incoming: Incoming, limit: number) {
    this.#incoming = incoming
    this.#limit = limit
  }

  /** Takes what is known of the size when the source has answered. */
  declare(size: number | undefined, { isConfirmed }: { isConfirmed: boolean }): void {
    this.#size = size
    this.#limit = size ?? this.#limit
    const { position } = this.#incoming
    if (size === undefined) this.#reserve(position + STEP_BYTES)
    else this.#reserve(isConfirmed ? size : position + UNCONFIRMED_STEP_BYTES)
  }

  /** Reserves more when the bytes come near to what is reserved. */
  extend(): void {
    if (this.#reserved >= this.#limit) return
    const isSizeKnown = this.#size !== undefined
    const step = isSizeKnown ? UNCONFIRMED_STEP_BYTES : STEP_BYTES
    if (this.#incoming.position <= this.#reserved - step / 2) return
    this.#reserve(isSizeKnown ? this.#reserved + step : this.#reserved * 2)
  }

  #reserve(bytes: number): void {
    this.#reserved = Math.min(this.#limit, bytes)
    void this.#incoming.reserve(this.#reserved, this.#size ?? this.#reserved)
  }
}
