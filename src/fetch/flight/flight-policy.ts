import type { PartPolicy } from './ahead/wanted-parts.ts'
import type { AttemptPolicy } from './attempts/attempt-sequence.ts'
import type { PacingPolicy } from './readers/pass-through-pacing.ts'

/** How long a flight waits for what, and how often it asks. */
export interface FlightPolicy extends AttemptPolicy, PacingPolicy, PartPolicy {
  /** How long a source may bring no byte, or a reader of a pass-through content may take none. */
  readonly progressTimeoutMs: number
  /** Within this time of the start some source must have said the size. */
  readonly sizeTimeoutMs: number
}

export const DEFAULT_FLIGHT_POLICY: FlightPolicy = {
  progressTimeoutMs: 10_000,
  sizeTimeoutMs: 25_000,
  attemptsPerSource: 3,
  progressBytes: 1024 * 1024,
  retryPauseMs: 200,
  moreReadersTimeoutMs: 250,
  lazyRanges: 'off',
  partsQuietMs: 1000,
}
