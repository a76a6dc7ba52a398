import { Failure, type FailureCode } from '../../ports/failure.ts'
import { parseRetryAfter } from '../headers/retry-after.ts'
import type { HttpResponse } from './messages.ts'

const CODES: Readonly<Record<number, FailureCode>> = {
  401: 'denied',
  403: 'denied',
  404: 'absent',
  410: 'absent',
  429: 'busy',
}

const MEANING: Readonly<Record<FailureCode, string>> = {
  absent: 'does not have it',
  denied: 'refuses the credentials',
  unlisted: '',
  busy: 'limits requests',
  unavailable: 'cannot answer',
  stalled: '',
  corrupt: '',
  'too-large': '',
  unsupported: '',
  stopping: '',
  disk: '',
}

/** The `Failure` for the status of an answer without the requested content. Disposes of the body. */
export function failureOfStatus(response: HttpResponse, source: string): Failure {
  response.body.dispose()
  const { status } = response
  const code = CODES[status] ?? 'unavailable'
  const retryAfterMs = parseRetryAfter(response.headers.get('retry-after'), Date.now())
  return new Failure(code, `${source} ${MEANING[code]} (status ${status})`, {
    source,
    status,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  })
}
