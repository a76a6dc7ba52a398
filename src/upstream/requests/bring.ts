import type { BoundedMap } from '../../lib/bounded-map.ts'
import type { Digest } from '../../oci/digest.ts'
import { Failure } from '../../ports/failure.ts'
import type { Intake, Want } from '../../ports/source.ts'
import { parseContentRange } from '../headers/content-range.ts'
import { MANIFEST_ACCEPT, parseMediaType, refuseSchema1 } from '../headers/media-type.ts'
import type { HttpResponse } from '../http/messages.ts'
import { failureOfStatus } from '../http/status.ts'
import type { Question } from './question.ts'

export const MANIFEST_LIMIT = 4 * 1024 * 1024
export const MOST_ETAGS = 256

/** Strong ETags of earlier attempts, for `If-Range` when an attempt continues. */
export type Etags = BoundedMap<Digest, string>

interface Asked {
  readonly name: string
  ask(question: Question): Promise<HttpResponse>
}

export function pathOf({ kind, digest }: Want): string {
  return `${kind}s/${digest}`
}

/** One attempt to bring what is missing of a blob or manifest from one host: see `Source.bring`. */
export async function bringFrom(
  host: Asked,
  etags: Etags,
  want: Want,
  intake: Intake,
  { signal }: { signal: AbortSignal },
): Promise<void> {
  const offset = intake.position
  const etag = etags.get(want.digest)
  const range = offset === 0 ? {} : { range: `bytes=${offset}-` }
  const response = await host.ask({
    method: 'GET',
    kind: want.kind,
    path: pathOf(want),
    name: want.repository.name,
    ...(want.kind === 'manifest' ? { accept: MANIFEST_ACCEPT } : {}),
    headers: { ...range, ...(offset > 0 && etag !== undefined ? { 'if-range': etag } : {}) },
    signal,
  })
  let begun = false
  try {
    const { size, skip, ends } = layOut(response, offset, host.name)
    const mediaType = parseMediaType(response.headers.get('content-type'))
    const limit = want.kind === 'manifest' ? MANIFEST_LIMIT : Number.POSITIVE_INFINITY
    if (want.kind === 'manifest') refuseSchema1(mediaType, host.name)
    if ((size ?? 0) > limit) {
      throw new Failure('too-large', `${host.name}: a manifest of over ${limit} bytes`, {
        source: host.name,
        expected: limit,
        ...(size === undefined ? {} : { found: size }),
      })
    }
    remember(etags, want.digest, response.headers.get('etag'))
    intake.expect({ size, mediaType })
    begun = true
    await response.body.readInto(intake, { skip, limit: limit - offset })
    if (ends !== undefined && intake.position < ends) {
      throw new Failure('unavailable', `${host.name} sent only a part of what was asked for`, {
        source: host.name,
        expected: ends,
        found: intake.position,
      })
    }
  } finally {
    if (!begun) response.body.dispose()
  }
}

/** How an answer's body lies in the whole: its size, what of the body is known already, where it has to end. */
function layOut(
  response: HttpResponse,
  offset: number,
  source: string,
): { size: number | undefined; skip: number; ends: number | undefined } {
  const { status, headers, body } = response
  if (status === 200) {
    const size = body.length
    if (size !== undefined && size < offset) {
      throw new Failure('unavailable', `${source} has less of it than there was before`, {
        source,
        expected: offset,
        found: size,
      })
    }
    return { size, skip: offset, ends: size }
  }
  if (status !== 206) throw failureOfStatus(response, source)
  const range = parseContentRange(headers.get('content-range'))
  const length = range === undefined ? undefined : range.end - range.start + 1
  if (range?.start !== offset || (body.length !== undefined && body.length !== length)) {
    throw new Failure('unavailable', `${source} answers with another range than the one asked for`, {
      source,
      expected: offset,
      ...(range === undefined ? {} : { found: range.start }),
    })
  }
  return { size: range.total, skip: 0, ends: range.total ?? range.end + 1 }
}

function remember(etags: Etags, digest: Digest, etag: string | undefined): void {
  etags.delete(digest)
  // Weak ones do not promise the same bytes, and cannot be used here (RFC 9110, 13.1.5).
  if (etag === undefined || !/^"[\x21\x23-\x7e]{0,256}"$/.test(etag)) return
  etags.set(digest, etag)
}
