import { Failure } from '../../src/ports/failure.ts'
import type { ConnectionsPerBlob, Intake, Source, VouchedIntake, Want } from '../../src/ports/source.ts'
import { aborted, pour } from './scripted-source.ts'

/** One request that a ranged source has got: `end` is undefined where all of the rest was wanted. */
export interface RangedRequest {
  readonly kind: 'in order' | 'range'
  readonly start: number
  readonly end: number | undefined
}

/** What happens to one request for a range. */
export interface RangeFault {
  /** The request fails before its first byte. */
  readonly failure?: Failure
  /** The connection breaks off after so many bytes. */
  readonly diesAfter?: number
  /** Nothing comes after so many bytes. */
  readonly stallsAfter?: number
  /** These bytes come instead of those of the content. */
  readonly bytes?: Uint8Array
}

const LARGE_BYTES = 8 * 1024 * 1024

/** An upstream in memory that brings bytes in order and by range, and counts what it sends. */
export class RangedSource implements Source {
  readonly kind = 'upstream'
  readonly name: string
  readonly requests: RangedRequest[] = []
  sentBytes = 0
  readonly connectionsPerBlob: ConnectionsPerBlob
  readonly #bytes: Uint8Array
  readonly #rangeFailure: Failure | undefined
  /** A request in order that is open-ended, or for more than 8 MiB, stops here until it is aborted. */
  readonly #stallAt: number | undefined
  /** A request is over with its last byte, although the intake may have no room, as where a lane reads the body. */
  readonly #endsWithoutRoom: boolean
  /** Requests in order that do not begin with byte 0 fail. */
  readonly #breaksOff: boolean
  readonly #onRange: (range: RangedRequest) => RangeFault | undefined

  constructor(
    bytes: Uint8Array,
    {
      name = 'registry',
      rangeFailure,
      stallAt,
      endsWithoutRoom = false,
      breaksOff = false,
      connections = 1,
      onRange = () => undefined,
    }: {
      name?: string
      rangeFailure?: Failure
      stallAt?: number
      endsWithoutRoom?: boolean
      breaksOff?: boolean
      connections?: number
      onRange?: (range: RangedRequest) => RangeFault | undefined
    } = {},
  ) {
    this.#bytes = bytes
    this.name = name
    this.#rangeFailure = rangeFailure
    this.#stallAt = stallAt
    this.#endsWithoutRoom = endsWithoutRoom
    this.#breaksOff = breaksOff
    this.connectionsPerBlob = { most: connections, isAuto: false }
    this.#onRange = onRange
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

  async bringRange(
    _: Want,
    { end }: { end: number; size: number },
    intake: Intake,
    { signal }: { signal: AbortSignal },
  ): Promise<void> {
    const start = intake.position
    const request: RangedRequest = { kind: 'range', start, end }
    this.requests.push(request)
    if (this.#rangeFailure !== undefined) throw this.#rangeFailure
    const { failure, diesAfter, stallsAfter, bytes } = this.#onRange(request) ?? {}
    if (failure !== undefined) throw failure
    intake.expect({ size: this.#bytes.length, mediaType: undefined })
    const broken = diesAfter ?? stallsAfter
    await this.#pour(intake, broken === undefined ? end : start + broken, bytes)
    if (diesAfter !== undefined) throw new Failure('unavailable', 'the connection broke')
    if (stallsAfter !== undefined) await aborted(signal)
  }

  async #pour(intake: Intake, end: number, bytes = this.#bytes): Promise<void> {
    this.sentBytes += end - intake.position
    await pour(intake, bytes, end, { endsWithoutRoom: this.#endsWithoutRoom })
  }
}
