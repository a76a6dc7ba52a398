import { isMediaType } from '../../oci/media-types.ts'
import type { ManifestAnswer } from '../../ports/answer.ts'
import { Failure } from '../../ports/failure.ts'
import { type BodyDesk, sendSelected } from '../answer/body.ts'
import { cacheStatus } from '../answer/cache-status.ts'
import { contentHeaders, etagOf } from '../answer/content-headers.ts'
import type { Exchange } from '../answer/exchange.ts'
import { type Part, select } from '../answer/parts.ts'
import { refuseUnmatched } from '../answer/preconditions.ts'
import { refuse } from '../answer/respond.ts'

const NOTHING = Buffer.alloc(0)

/** Most manifests are small and in memory: one write, headers and all. A large one is sent as a blob is. */
export async function respondManifest(
  exchange: Exchange,
  manifest: ManifestAnswer,
  desk: BodyDesk,
): Promise<void> {
  const { body } = manifest
  try {
    await respond(exchange, manifest, desk)
  } finally {
    if (!(body instanceof Uint8Array)) await body.close()
  }
}

async function respond(exchange: Exchange, manifest: ManifestAnswer, desk: BodyDesk): Promise<void> {
  const { digest, mediaType, size, body, how } = manifest
  if (!isMediaType(mediaType)) throw new Failure('corrupt', 'the media type of this manifest is none')
  const headers = contentHeaders(exchange, digest, how)
  const selection = select(exchange.method, exchange.headers, {
    size,
    contentType: mediaType,
    etag: etagOf(digest),
  })
  switch (selection.status) {
    case 412:
      refuseUnmatched(exchange, digest, how)
      return
    case 304:
      exchange.answer(304, headers, NOTHING)
      return
    case 416:
      refuse(exchange, {
        status: 416,
        code: 'RANGE_INVALID',
        message: `this manifest has ${size} bytes`,
        headers: { 'Cache-Status': cacheStatus(how), ...selection.headers },
      })
      return
  }
  const { status, parts } = selection
  Object.assign(headers, selection.headers)
  if (exchange.method === 'HEAD') exchange.answer(status, headers, NOTHING)
  else if (body instanceof Uint8Array) exchange.answer(status, headers, assembled(body, parts))
  else await sendSelected(exchange, body, { status, headers, parts }, desk)
}

function assembled(bytes: Uint8Array, parts: readonly Part[]): Uint8Array {
  const [first] = parts
  if (parts.length === 1 && first?.range !== undefined) {
    const { start, end } = first.range
    return start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end)
  }
  const pieces = parts.flatMap(({ text, range }) => [
    text ?? NOTHING,
    range === undefined ? NOTHING : bytes.subarray(range.start, range.end),
  ])
  return Buffer.concat(pieces)
}
