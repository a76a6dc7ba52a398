/** How long a flight waits for what, and how often it asks. */
export interface FlightPolicy {
  /** A source that brings no byte for this long is given up for the next one. A reader of a pass-through content that takes none is dismissed. */
  readonly progressTimeoutMs: number
  /** Within this time of the flight's start some source must have said the size of the content. */
  readonly sizeTimeoutMs: number
  /** How many attempts of one source in a row may bring less than `progressBytes`. */
  readonly attemptsPerSource: number
  /** An attempt that brings this much counts as progress. */
  readonly progressBytes: number
  /** The pause before a source is asked again; it grows with each attempt without progress. */
  readonly retryPauseMs: number
  /** A pass-through content keeps its start in memory for this long, so that more readers can join. */
  readonly moreReadersTimeoutMs: number
}

export const DEFAULT_FLIGHT_POLICY: FlightPolicy = {
  progressTimeoutMs: 10_000,
  sizeTimeoutMs: 25_000,
  attemptsPerSource: 3,
  progressBytes: 1024 * 1024,
  retryPauseMs: 200,
  moreReadersTimeoutMs: 250,
}
