import { Failure } from '../../src/ports/failure.ts'
import type { Intake, Source, VouchedIntake, Want } from '../../src/ports/source.ts'
import { aborted, pour } from './scripted-source.ts'

/** One request that a ranged source has got: `end` is undefined where all of the rest was wanted. */
export interface RangedRequest {
  readonly kind: 'in order' | 'range'
  readonly start: number
  readonly end: number | undefined
}

const LARGE_BYTES = 8 * 1024 * 1024

/** An upstream in memory that brings bytes in order and by range, and counts what it sends. */
export class RangedSource implements Source {
  readonly kind = 'upstream'
  readonly name: string
  readonly requests: RangedRequest[] = []
  sentBytes = 0
  readonly #bytes: Uint8Array
  readonly #rangeFailure: Failure | undefined
  /** A request in order that is open-ended, or for more than 8 MiB, stops here until it is aborted. */
  readonly #stallAt: number | undefined
  /** A request is over with its last byte, although the intake may have no room, as where a lane reads the body. */
  readonly #endsWithoutRoom: boolean
  /** Requests in order that do not begin with byte 0 fail. */
  readonly #breaksOff: boolean

  constructor(
    bytes: Uint8Array,
    {
      name = 'registry',
      rangeFailure,
      stallAt,
      endsWithoutRoom = false,
      breaksOff = false,
    }: {
      name?: string
      rangeFailure?: Failure
      stallAt?: number
      endsWithoutRoom?: boolean
      breaksOff?: boolean
    } = {},
  ) {
    this.#bytes = bytes
    this.name = name
    this.#rangeFailure = rangeFailure
    this.#stallAt = stallAt
    this.#endsWithoutRoom = endsWithoutRoom
    this.#breaksOff = breaksOff
  }

  async bring(_: Want, intake: VouchedIntake, { signal }: { signal: AbortSignal }): Promise<void> {
    const { position: start, end } = intake
    this.requests.push({ kind: 'in order', start, end })
    if (this.#breaksOff && start > 0) throw new Failure('unavailable', 'the connection broke')
    intake.expect({ size: this.#bytes.length, mediaType: undefined })
    const isLarge = (end ?? Number.POSITIVE_INFINITY) - start > LARGE_BYTES
    const stallAt = isLarge && start < (this.#stallAt ?? 0) ? this.#stallAt : undefined
    await this.#pour(
      intake,
      Math.min(this.#bytes.length, end ?? this.#bytes.length, stallAt ?? Number.POSITIVE_INFINITY),
    )
    if (stallAt !== undefined) await aborted(signal)
  }

  async bringRange(_: Want, { end }: { end: number; size: number }, intake: Intake): Promise<void> {
    this.requests.push({ kind: 'range', start: intake.position, end })
    if (this.#rangeFailure !== undefined) throw this.#rangeFailure
    await this.#pour(intake, end)
  }

  async #pour(intake: Intake, end: number): Promise<void> {
    this.sentBytes += end - intake.position
    await pour(intake, this.#bytes, end, { endsWithoutRoom: this.#endsWithoutRoom })
  }
}
