import { errorCode } from '../../lib/error-code.ts'
import { Failure, UNLISTED_MESSAGE } from '../../ports/failure.ts'
import { AddressRefusedError } from '../options/scoped-lookup.ts'
import type { SendRequest } from './messages.ts'

function describeError(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown error'
  if (error instanceof AggregateError && error.errors.length > 0) return describeError(error.errors[0])
  // The code of a system error can be looked up; its message repeats addresses.
  return errorCode(error) ?? error.message
}

/** The error of a request as a `Failure` of the host. It shows only the host, because a presigned URL is a secret. */
export function failureOf(error: unknown, url: URL): Failure {
  if (error instanceof Failure) return error
  const source = url.host
  const why = isAddressRefused(error)
    ? 'refused, because its address is private (see allowPrivateTargets)'
    : describeError(error)
  return new Failure('unavailable', `${source}: ${why}`, { source, cause: error })
}

function isAddressRefused(error: unknown): boolean {
  return error instanceof AddressRefusedError || (error instanceof Error && isAddressRefused(error.cause))
}

/**
 * For requests to the registry itself: only a registry without an entry can have a refused address. All of them get the
 * same text, so that the text does not reveal what a name resolves to.
 */
export function failingUnlisted(send: SendRequest): SendRequest {
  return async (request) => {
    try {
      return await send(request)
    } catch (error) {
      if (!isAddressRefused(error)) throw error
      throw new Failure('unlisted', UNLISTED_MESSAGE, { cause: error })
    }
  }
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
