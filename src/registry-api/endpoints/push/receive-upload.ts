import type { UploadWriter } from '../../../ports/hosted.ts'
import { RefusedRequest } from '../../answer/respond.ts'
import type { HttpExchange } from '../../exchange/http-exchange.ts'
import { parseContentRange, type UploadRange } from './content-range.ts'
import { type PushResources, type PushTarget, UPLOAD_UNKNOWN, uploadHeaders } from './push-context.ts'
import { receiveWithSlot } from './receive-with-slot.ts'

/**
 * Adds the body of a request to an upload, and calls `then` with the upload still open. Bytes that have come stay when
 * the request fails.
 */
export async function receiveUpload<Result>(
  exchange: HttpExchange,
  target: PushTarget,
  id: string,
  resources: PushResources,
  then: (writer: UploadWriter) => Promise<Result>,
): Promise<Result> {
  const range = declaredRange(exchange)
  const { hosted, slots } = resources
  const { length } = exchange.body
  return receiveWithSlot(exchange, { slots, stallMs: resources.bodyStallMs }, async (receive) => {
    const writer = await hosted.uploads.open(target.repository, id, {
      size: length ?? (range && range.end - range.start),
      signal: exchange.signal,
    })
    if (writer === undefined) throw new RefusedRequest(UPLOAD_UNKNOWN)
    try {
      const { position } = writer
      if (range !== undefined && range.start !== position) throw outOfOrder(target, id, position)
      await receive(writer)
      if (range !== undefined && range.end !== writer.position) throw wrongLength(target, id, writer.position)
      return await then(writer)
    } finally {
      await writer.close()
    }
  })
}

function declaredRange({ headers, body }: HttpExchange): UploadRange | undefined {
  const text = headers['content-range']
  if (text === undefined) return undefined
  const range = parseContentRange(text)
  if (range === undefined) {
    const message = 'Content-Range is not valid: expected <first byte>-<last byte>, such as 0-1023'
    throw new RefusedRequest({ status: 400, code: 'BLOB_UPLOAD_INVALID', message })
  }
  if (body.length !== undefined && body.length !== range.end - range.start) {
    const message = `Content-Range is ${range.end - range.start} bytes long, but Content-Length is ${body.length}`
    throw new RefusedRequest({ status: 400, code: 'SIZE_INVALID', message })
  }
  return range
}

function outOfOrder(target: PushTarget, id: string, position: number): RefusedRequest {
  return new RefusedRequest({
    status: 416,
    code: 'BLOB_UPLOAD_INVALID',
    message: `the upload has ${position} bytes: continue at byte ${position}`,
    headers: uploadHeaders(target, { id, position }),
  })
}

function wrongLength(target: PushTarget, id: string, position: number): RefusedRequest {
  return new RefusedRequest({
    status: 400,
    code: 'SIZE_INVALID',
    message: `the body was not as long as Content-Range says: the upload has ${position} bytes now`,
    headers: uploadHeaders(target, { id, position }),
  })
}
