import { isMediaType } from '../oci/media-types.ts'
import type { ManifestAnswer } from '../resolve/answer.ts'
import { Failure } from '../resolve/failure.ts'
import { cacheStatus } from './cache-status.ts'
import { contentHeaders, etagOf } from './content-headers.ts'
import type { Exchange } from './exchange.ts'
import { type Part, select } from './parts.ts'
import { refuseUnmatched } from './preconditions.ts'
import { refuse } from './respond.ts'

const NOTHING = Buffer.alloc(0)

/** Manifests are small and in memory: one write, headers and all. */
export function respondManifest(exchange: Exchange, manifest: ManifestAnswer): void {
  const { digest, mediaType, bytes, how } = manifest
  if (!isMediaType(mediaType)) throw new Failure('corrupt', 'the media type of this manifest is none')
  const headers = contentHeaders(exchange, digest, how)
  const selection = select(exchange.method, exchange.headers, {
    size: bytes.length,
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
        message: `this manifest has ${bytes.length} bytes`,
        headers: { 'Cache-Status': cacheStatus(how), ...selection.headers },
      })
      return
    default: {
      const body = assembled(bytes, selection.parts)
      exchange.answer(selection.status, Object.assign(headers, selection.headers), body)
    }
  }
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
