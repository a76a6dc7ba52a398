import type { LaneResponse } from '../../../lanes/lane-client.ts'
import type { ResponseHead } from '../../../lib/http1/response-head.ts'
import type { Failure } from '../../../ports/failure.ts'
import { peerFailure } from '../connection/resources.ts'
import { failureOfRefused, parseMessage, Refused } from '../protocol/messages.ts'

/** A longer explanation is not read. */
const MAX_REASON_BYTES = 16 * 1024
const CONTENT_RANGE = /^bytes (?:(\d{1,15})-(\d{1,15})|\*)\/(\d{1,15})$/

/**
 * The size of the content whose bytes from `from` on are the body; undefined when the response contains no such bytes. A peer
 * says by 416 that a content ends at the offset.
 */
export function sizeOfContent({ status, headers, length }: ResponseHead, from: number): number | undefined {
  if (length === 'undeclared') return undefined
  if (status === 200) return from === 0 ? length : undefined
  const [, first, last, size] = CONTENT_RANGE.exec(headers.get('content-range') ?? '') ?? []
  if (status === 416) return first === undefined && Number(size) === from && length === 0 ? from : undefined
  const isWhole =
    Number(first) === from && Number(last) + 1 === Number(size) && length === Number(size) - from
  return status === 206 && isWhole ? Number(size) : undefined
}

/** Reads the body of a response that contains no content, for at most `ms`, and gives the reason that it names. */
export async function failureOfResponse(
  peerName: string,
  response: LaneResponse,
  { signal, ms }: { signal: AbortSignal; ms: number },
): Promise<Failure> {
  const { length, head } = response
  const invalid = peerFailure(peerName, `sent an invalid response with the status ${head.status}`)
  if (head.status < 400 || length === undefined || length === 0 || length > MAX_REASON_BYTES) return invalid
  const text = Buffer.alloc(length)
  let position = 0
  const sink = {
    buffer: () => text.subarray(position),
    filled: (bytes: number) => {
      position += bytes
      return true
    },
    drained: async () => {},
  }
  try {
    await response.readInto(sink, { skip: 0, signal: AbortSignal.any([signal, AbortSignal.timeout(ms)]) })
    return failureOfRefused(peerName, parseMessage(Refused, JSON.parse(text.toString()), peerName))
  } catch {
    return invalid
  }
}
