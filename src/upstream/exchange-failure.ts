import { Failure } from '../resolve/failure.ts'
import { AddressRefused } from './address.ts'

function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown error'
  if (error instanceof AggregateError && error.errors.length > 0) return codeOf(error.errors[0])
  const { code } = error as { code?: unknown }
  // Messages of system errors carry addresses, not secrets, but the code is what can be looked up.
  return typeof code === 'string' ? code : error.message
}

/** Whatever broke an exchange, as a `Failure` of the host. Never shows more of the URL: a presigned one is a secret. */
export function failureOf(error: unknown, url: URL): Failure {
  if (error instanceof Failure) return error
  const source = url.host
  const refused =
    error instanceof AddressRefused || (error instanceof Error && error.cause instanceof AddressRefused)
  const why = refused ? 'refused, its address is a private one (see allowPrivateTargets)' : codeOf(error)
  return new Failure('unavailable', `${source}: ${why}`, { source, cause: error })
}

export function tooLate(url: URL, what: string, ms: number): Failure {
  return new Failure('unavailable', `${url.host}: ${what} within ${ms} ms`, { source: url.host })
}

export function tooLong(url: URL, limit: number): Failure {
  return new Failure('too-large', `${url.host}: an answer longer than ${limit} bytes`, {
    source: url.host,
    expected: limit,
  })
}
