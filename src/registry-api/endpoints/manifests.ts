import { isMediaType } from '../../oci/media-types.ts'
import { Failure } from '../../ports/failure.ts'
import type { ManifestAnswer } from '../../ports/resolver.ts'
import { type BodyResources, sendSelection } from '../answer/body.ts'
import { cacheStatus } from '../answer/cache-status.ts'
import { contentHeaders, etagOf } from '../answer/content-headers.ts'
import { respondPreconditionFailed } from '../answer/preconditions.ts'
import { respondError } from '../answer/respond.ts'
import { type BodyPart, select } from '../answer/selection.ts'
import type { HttpExchange } from '../exchange/http-exchange.ts'

const NO_BODY = Buffer.alloc(0)

/** A small manifest is in memory and sent with its headers in one write. A large one is sent like a blob. */
export async function respondManifest(
  exchange: HttpExchange,
  manifest: ManifestAnswer,
  resources: BodyResources,
): Promise<void> {
  const { body } = manifest
  try {
    await respond(exchange, manifest, resources)
  } finally {
    if (!(body instanceof Uint8Array)) await body.close()
  }
}

async function respond(
  exchange: HttpExchange,
  manifest: ManifestAnswer,
  resources: BodyResources,
): Promise<void> {
  const { digest, mediaType, size, body, cacheResult } = manifest
  if (!isMediaType(mediaType)) throw new Failure('corrupt', 'the manifest has no valid media type')
  const headers = contentHeaders(exchange, digest, cacheResult)
  const selection = select(exchange.method, exchange.headers, {
    size,
    contentType: mediaType,
    etag: etagOf(digest),
  })
  switch (selection.status) {
    case 412:
      respondPreconditionFailed(exchange, digest, cacheResult)
      return
    case 304:
      exchange.answer(304, headers, NO_BODY)
      return
    case 416:
      respondError(exchange, {
        status: 416,
        code: 'RANGE_INVALID',
        message: `range not satisfiable: the manifest has ${size} bytes`,
        headers: { 'Cache-Status': cacheStatus(cacheResult), ...selection.headers },
      })
      return
  }
  const { status, parts } = selection
  Object.assign(headers, selection.headers)
  if (exchange.method === 'GET' && status === 200) exchange.facts.manifest = { digest, mediaType, size }
  if (exchange.method === 'HEAD') exchange.answer(status, headers, NO_BODY)
  else if (body instanceof Uint8Array) exchange.answer(status, headers, joinParts(body, parts))
  else await sendSelection(exchange, body, { status, headers, parts }, resources)
}

function joinParts(bytes: Uint8Array, parts: readonly BodyPart[]): Uint8Array {
  const [first] = parts
  if (parts.length === 1 && first?.range !== undefined) {
    const { start, end } = first.range
    return start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end)
  }
  const chunks = parts.flatMap(({ text, range }) => [
    text ?? NO_BODY,
    range === undefined ? NO_BODY : bytes.subarray(range.start, range.end),
  ])
  return Buffer.concat(chunks)
}
