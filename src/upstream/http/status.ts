import { Failure, type FailureCode } from '../../ports/failure.ts'
import { readRetryAfter } from '../headers/retry-after.ts'
import type { Reply } from './exchange.ts'

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
export function failureOfStatus(reply: Reply, source: string): Failure {
  reply.body.dispose()
  const { status } = reply
  const code = CODES[status] ?? 'unavailable'
  const retryAfterMs = readRetryAfter(reply.headers.get('retry-after'), Date.now())
  return new Failure(code, `${source} ${MEANING[code]} (status ${status})`, {
    source,
    status,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  })
}
