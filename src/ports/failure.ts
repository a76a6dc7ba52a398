/**
 * Why something could not be had. Turned into HTTP in one place (registry-api/answer/respond.ts), into an exit code in another (main.ts).
 *
 * - `absent`: whoever was asked knows that it does not exist
 * - `denied`: upstream wants other credentials than the ones it was given
 * - `unlisted`: the settings do not list this registry, and where it lies only a listed one is asked
 * - `busy`: upstream asks to come back later (429, or its circuit is open)
 * - `unavailable`: no answer, a broken answer, or a 5xx
 * - `stalled`: an answer that stopped making progress
 * - `corrupt`: bytes that are not the ones asked for
 * - `too-large`: a manifest over the limit
 * - `unsupported`: something this agent does not do (schema 1, an unknown digest algorithm)
 * - `stopping`: the agent is shutting down
 * - `disk`: the store could not take the bytes
 */
export type FailureCode =
  | 'absent'
  | 'denied'
  | 'unlisted'
  | 'busy'
  | 'unavailable'
  | 'stalled'
  | 'corrupt'
  | 'too-large'
  | 'unsupported'
  | 'stopping'
  | 'disk'

/** The words of `unlisted`: the same for every registry, so that they tell nothing of where it lies. */
export const UNLISTED =
  'this agent asks registries at special-purpose addresses only if its settings list them (upstreams)'

export interface FailureDetails {
  readonly cause?: unknown
  /** Who failed: a host name, a peer. */
  readonly source?: string
  readonly expected?: string | number
  readonly found?: string | number
  /** When it is worth asking again, in milliseconds from now. */
  readonly retryAfterMs?: number
  /** HTTP status that upstream answered, if it did. */
  readonly status?: number
}

export class Failure extends Error {
  readonly code: FailureCode
  readonly details: FailureDetails

  constructor(code: FailureCode, message: string, details: FailureDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause })
    this.name = 'Failure'
    this.code = code
    this.details = details
  }
}
