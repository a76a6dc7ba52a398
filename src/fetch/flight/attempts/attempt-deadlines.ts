import type { Source } from '../../../ports/source.ts'

export interface AttemptDeadlines {
  /** Within this time the source must bring `minBytes`, or all that is missing. */
  readonly timeoutMs: number
  readonly minBytes: number
  /** Within this time the source must say the size; undefined: the source has a deadline of its own. */
  readonly answerTimeoutMs: number | undefined
}

/**
 * When upstream stalls, its peers look for another parent first. With the same deadline all of them would ask upstream
 * at once.
 */
const PEERS_FACTOR = 2.5
/** Peers may tell each other to wait, but must leave upstream time to say the size. */
const PEERS_ANSWER_FACTOR = 1.5
/** A peer or an object store that sends a byte now and then is no better than one that sends nothing. */
const MIN_BYTES = 65_536

export function deadlinesFor({ kind }: Source, progressTimeoutMs: number): AttemptDeadlines {
  if (kind === 'upstream') return { timeoutMs: progressTimeoutMs, minBytes: 1, answerTimeoutMs: undefined }
  if (kind === 'object-store') {
    return { timeoutMs: progressTimeoutMs, minBytes: MIN_BYTES, answerTimeoutMs: progressTimeoutMs }
  }
  return {
    timeoutMs: progressTimeoutMs * PEERS_FACTOR,
    minBytes: MIN_BYTES,
    answerTimeoutMs: progressTimeoutMs * PEERS_ANSWER_FACTOR,
  }
}
