/**
 * Why a request failed. `registry-api/answer/respond.ts` turns a code into an HTTP status, and `main.ts` into an exit code.
 *
 * - `absent`: the source that was asked knows that the content or tag does not exist
 * - `denied`: upstream wants other credentials than those that it was given
 * - `unlisted`: the settings do not list this registry, and at a special-purpose address only a listed one is asked
 * - `busy`: upstream must not be asked now (it has answered 429, or its circuit is open)
 * - `unavailable`: upstream has given no answer, a broken answer, or a 5xx
 * - `stalled`: an answer has stopped making progress
 * - `corrupt`: the bytes are not those of the digest
 * - `too-large`: a manifest is larger than the limit
 * - `unsupported`: this agent cannot do it (schema 1, an unknown digest algorithm)
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

/**
 * The message of every `unlisted` failure. It is the same for every registry, so that it does not reveal the registry's
 * address.
 */
export const UNLISTED_MESSAGE =
  'this agent asks registries at special-purpose addresses only if its settings list them (upstreams)'

export interface FailureDetails {
  readonly cause?: unknown
  /** The host or peer that failed, by its name. */
  readonly source?: string
  readonly expected?: string | number
  readonly found?: string | number
  /** After how many milliseconds it is worth asking again. */
  readonly retryAfterMs?: number
  /** The HTTP status of upstream's answer, if there was one. */
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
