import { errorCode } from '../../lib/error-code.ts'
import { Failure, UNLISTED_MESSAGE } from '../../ports/failure.ts'
import { AddressRefused } from '../options/address.ts'
import type { Exchange } from './exchange.ts'

function wordsOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown error'
  if (error instanceof AggregateError && error.errors.length > 0) return wordsOf(error.errors[0])
  // Messages of system errors carry addresses, not secrets, but the code is what can be looked up.
  return errorCode(error) ?? error.message
}

/** Whatever broke an exchange, as a `Failure` of the host. Never shows more of the URL: a presigned one is a secret. */
export function failureOf(error: unknown, url: URL): Failure {
  if (error instanceof Failure) return error
  const source = url.host
  const why = isAddressRefused(error)
    ? 'refused, its address is a private one (see allowPrivateTargets)'
    : wordsOf(error)
  return new Failure('unavailable', `${source}: ${why}`, { source, cause: error })
}

function isAddressRefused(error: unknown): boolean {
  return error instanceof AddressRefused || (error instanceof Error && isAddressRefused(error.cause))
}

/**
 * For requests to the registry itself: only one without an entry has an address that is refused. The words are the same
 * for all of them, so that they tell nothing of what a name resolves to.
 */
export function sayingUnlisted(exchange: Exchange): Exchange {
  return async (request) => {
    try {
      return await exchange(request)
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
