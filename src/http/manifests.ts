import type { OutgoingHttpHeaders } from 'node:http'
import { isMediaType } from '../oci/media-types.ts'
import type { ManifestAnswer } from '../resolve/answer.ts'
import { Failure } from '../resolve/failure.ts'
import { cacheStatus, sourceOf, staleWarning } from './cache-status.ts'
import type { Exchange } from './exchange.ts'
import { type Part, select } from './parts.ts'
import { COMMON, refuse } from './respond.ts'

const NOTHING = Buffer.alloc(0)

/** Manifests are small and in memory: one write, headers and all. */
export function respondManifest(exchange: Exchange, manifest: ManifestAnswer): void {
  const { digest, mediaType, bytes, how } = manifest
  if (!isMediaType(mediaType)) throw new Failure('corrupt', 'the media type of this manifest is none')
  const status = cacheStatus(how)
  exchange.findings.cacheStatus = status
  exchange.findings.source = sourceOf(how)
  const etag = `"${digest}"`
  const about: OutgoingHttpHeaders = {
    ...COMMON,
    'Docker-Content-Digest': digest,
    ETag: etag,
    'Accept-Ranges': 'bytes',
    'Cache-Status': status,
    ...staleWarning(how),
  }
  const selection = select(exchange.method, exchange.headers, {
    size: bytes.length,
    contentType: mediaType,
    etag,
  })
  switch (selection.status) {
    case 304:
      exchange.answer(304, about, NOTHING)
      return
    case 416:
      refuse(exchange, {
        status: 416,
        code: 'RANGE_INVALID',
        message: `this manifest has ${bytes.length} bytes`,
        headers: { 'Cache-Status': status, ...selection.headers },
      })
      return
    default: {
      const body = assembled(bytes, selection.parts)
      exchange.answer(selection.status, { ...about, ...selection.headers }, body)
    }
  }
}

function assembled(bytes: Uint8Array, parts: readonly Part[]): Uint8Array {
  const pieces = parts.flatMap(({ text, range }) => [
    text ?? NOTHING,
    range === undefined ? NOTHING : bytes.subarray(range.start, range.end),
  ])
  return parts.length === 1 ? (pieces[1] ?? NOTHING) : Buffer.concat(pieces)
}
