import { Failure, type FailureCode } from '../../../ports/failure.ts'

/** The worse the news, the later in the list: what is only unreachable may exist after all, so it outweighs `absent`. */
const WEIGHT: readonly FailureCode[] = [
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

/** What everyone who waits is told when every source has failed: the failure that leaves most hope, all others kept in it. */
export function pickFailure(what: string, failures: readonly Failure[]): Failure {
  const first = failures[0]
  if (first === undefined) return new Failure('absent', `Nobody is configured who could have ${what}.`)
  let gravest = first
  for (const failure of failures) {
    if (WEIGHT.indexOf(failure.code) > WEIGHT.indexOf(gravest.code)) gravest = failure
  }
  if (failures.length === 1) return gravest
  return new Failure(gravest.code, gravest.message, {
    ...gravest.details,
    cause: new AggregateError(failures, `Every source failed for ${what}.`),
  })
}

/** Worth asking the same source again within the same flight. */
export function isTransient(failure: Failure): boolean {
  return failure.code === 'unavailable' || failure.code === 'stalled'
}

/** Whatever was thrown, as a Failure. */
export function asFailure(error: unknown, source: string): Failure {
  if (error instanceof Failure) return error
  const message = error instanceof Error ? error.message : String(error)
  return new Failure('unavailable', `${source} failed: ${message}`, { cause: error, source })
}
