import { Failure, type FailureCode } from '../../ports/failure.ts'
import { textOf } from '../format/xml.ts'

/** The server has answered with an error. */
export interface ErrorAnswer {
  readonly status: number
  /** The XML of the error; empty for the answer to a HEAD. */
  readonly text: string
  readonly headers: { get(name: string): string | undefined }
}

/** Codes that mean: these credentials are expired, and newer ones may be accepted. */
const EXPIRED = [
  'ExpiredToken',
  'ExpiredTokenException',
  'TokenRefreshRequired',
  'InvalidToken',
  'RequestExpired',
]

const ADVICE: Readonly<Record<string, string>> = {
  AccessDenied:
    'grant s3:GetObject and s3:ListBucket, s3:PutObject for uploads, and s3:DeleteObject for agent gc --object-store',
  InvalidAccessKeyId: 'the access key is unknown to the server: check the credentials',
  SignatureDoesNotMatch: 'check the secret access key and the region',
  RequestTimeTooSkewed: 'the clock of this node is wrong: set it',
  NoSuchBucket: 'create the bucket, or correct objectStore.url',
  PermanentRedirect: 'the bucket is in another region: set objectStore.region',
  AuthorizationHeaderMalformed: 'the bucket is in another region: set objectStore.region',
}

function codeOf({ text, headers, status }: ErrorAnswer): string {
  const header = headers.get('x-amz-error-code')
  return textOf(text, 'Code') ?? header ?? `status ${status}`
}

export function isExpired(answer: ErrorAnswer): boolean {
  return (answer.status === 400 || answer.status === 403) && EXPIRED.includes(codeOf(answer))
}

/** Whether not only the object is missing. The answer to a HEAD does not say it. */
export function isBucketMissing(answer: ErrorAnswer): boolean {
  return answer.status === 404 && codeOf(answer) === 'NoSuchBucket'
}

/** The error of an answer as a `Failure` of the bucket. */
export function failureOfAnswer(answer: ErrorAnswer, source: string): Failure {
  const { status } = answer
  const code = codeOf(answer)
  const advice = ADVICE[code] ?? (status === 403 ? ADVICE['AccessDenied'] : undefined)
  const skew = code === 'RequestTimeTooSkewed' ? skewText(answer) : ''
  const message = `${source}: ${code}${skew}${advice === undefined ? '' : ` (${advice})`}.`
  return new Failure(failureCode(status, code), message, { source, status })
}

function failureCode(status: number, code: string): FailureCode {
  if (code === 'NoSuchBucket') return 'denied'
  if (status === 404 || status === 410) return 'absent'
  if (status === 429 || status >= 500 || code === 'SlowDown' || code === 'RequestTimeout')
    return 'unavailable'
  if (status === 416) return 'unavailable'
  return 'denied'
}

/** By how much the clock of this node differs from that of the server. */
function clockSkewMs({ headers }: Pick<ErrorAnswer, 'headers'>, now = Date.now()): number | undefined {
  const date = Date.parse(headers.get('date') ?? '')
  return Number.isNaN(date) ? undefined : now - date
}

function skewText(answer: ErrorAnswer): string {
  const skewMs = clockSkewMs(answer)
  if (skewMs === undefined) return ''
  return `, this node is ${Math.abs(Math.round(skewMs / 1000))} s ${skewMs > 0 ? 'ahead' : 'behind'}`
}
