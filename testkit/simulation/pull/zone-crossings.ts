import type { Transfers } from './transfers.ts'

/** Counts the bytes that members take from members of other zones. */
export class ZoneCrossings {
  bytes = 0
  readonly #transfers: Transfers
  readonly #members: number
  readonly #zones: number
  readonly #countedPosition: Float64Array

  constructor(transfers: Transfers, { members, zones }: { members: number; zones: number }) {
    this.#transfers = transfers
    this.#members = members
    this.#zones = zones
    this.#countedPosition = new Float64Array(transfers.position.length)
  }

  /** Must be called before a transfer gets another source, and at its end. */
  count(transfer: number): void {
    const source = this.#transfers.source[transfer] as number
    const position = this.#transfers.position[transfer] as number
    const bytes = position - (this.#countedPosition[transfer] as number)
    this.#countedPosition[transfer] = position
    const member = transfer % this.#members
    if (source >= 0 && source % this.#zones !== member % this.#zones) this.bytes += bytes
  }
}
