import { Failure, type FailureCode } from '../../../ports/failure.ts'

/** A later code outweighs an earlier one. What is only unreachable may exist after all, so it outweighs `absent`. */
const CODES_BY_WEIGHT: readonly FailureCode[] = [
  'absent',
  'denied',
  'unlisted',
  'unsupported',
  'too-large',
  'corrupt',
  'busy',
  'stalled',
  'unavailable',
  'disk',
  'stopping',
]

/**
 * Gives the one failure that all readers get when every source has failed: the one that outweighs the others, with all
 * of them as its cause.
 */
export function pickFailure(what: string, failures: readonly Failure[]): Failure {
  const [first] = failures
  if (first === undefined) return new Failure('absent', `No source is configured for ${what}.`)
  let gravest = first
  for (const failure of failures) if (weightOf(failure) > weightOf(gravest)) gravest = failure
  if (failures.length === 1) return gravest
  return new Failure(gravest.code, gravest.message, {
    ...gravest.details,
    cause: new AggregateError(failures, `Every source failed for ${what}.`),
  })
}

/** Whether it is worth asking the same source again in the same flight. */
export function isTransient({ code }: Failure): boolean {
  return code === 'unavailable' || code === 'stalled'
}

/** Makes a `Failure` of whatever was thrown. */
export function asFailure(error: unknown, source: string): Failure {
  if (error instanceof Failure) return error
  const message = error instanceof Error ? error.message : String(error)
  return new Failure('unavailable', `${source} failed: ${message}`, { cause: error, source })
}

function weightOf({ code }: Failure): number {
  return CODES_BY_WEIGHT.indexOf(code)
}
