import type { Digest } from '../../oci/digest.ts'
import { OCTET_STREAM } from '../../oci/media-types.ts'
import type { Repository } from '../../oci/names/repository.ts'
import type { How, Resolver } from '../../ports/answer.ts'
import type { Content } from '../../ports/content.ts'
import { type BodyDesk, sendSelected } from '../answer/body.ts'
import { cacheStatus } from '../answer/cache-status.ts'
import { contentHeaders, etagOf } from '../answer/content-headers.ts'
import type { Exchange } from '../answer/exchange.ts'
import { notModified, type Selection, select } from '../answer/parts.ts'
import { isMatched, refuseUnmatched } from '../answer/preconditions.ts'
import { refuse } from '../answer/respond.ts'

const NOTHING = Buffer.alloc(0)

export interface BlobDesk extends BodyDesk {
  readonly resolver: Resolver
}

export async function respondBlob(
  exchange: Exchange,
  repository: Repository,
  digest: Digest,
  desk: BlobDesk,
): Promise<void> {
  const { signal } = exchange
  // Whoever has this digest has these bytes: no need to open them, let alone to fetch them, to say so.
  if (exchange.method === 'HEAD' || !isWanted(exchange, digest)) {
    const { size, how } = await desk.resolver.blobHead(repository, digest, { signal })
    return respondHead(exchange, digest, size, how)
  }
  const { content, how } = await desk.resolver.blob(repository, digest, { signal })
  try {
    await respondContent(exchange, content, how, desk)
  } finally {
    await content.close()
  }
}

function isWanted({ headers }: Exchange, digest: Digest): boolean {
  const etag = etagOf(digest)
  return isMatched(headers['if-match'], etag) && !notModified(headers['if-none-match'], etag)
}

function respondHead(exchange: Exchange, digest: Digest, size: number, how: How): void {
  const selection = selectFrom(exchange, digest, size)
  if (selection.status === 412) {
    refuseUnmatched(exchange, digest, how)
    return
  }
  const headers = contentHeaders(exchange, digest, how)
  if (selection.status !== 304) Object.assign(headers, selection.headers)
  exchange.answer(selection.status, headers, NOTHING)
}

async function respondContent(exchange: Exchange, content: Content, how: How, desk: BlobDesk): Promise<void> {
  const { digest, size } = content
  const selection = selectFrom(exchange, digest, size)
  if (selection.status === 412) return refuseUnmatched(exchange, digest, how)
  const headers = contentHeaders(exchange, digest, how)
  if (selection.status === 304) return exchange.answer(304, headers, NOTHING)
  if (selection.status === 416) {
    return refuse(exchange, {
      status: 416,
      code: 'RANGE_INVALID',
      message: `this blob has ${size} bytes`,
      headers: { 'Cache-Status': cacheStatus(how), ...selection.headers },
    })
  }
  const { status, parts } = selection
  Object.assign(headers, selection.headers)
  if (size === 0) return exchange.answer(status, headers, NOTHING)
  await sendSelected(exchange, content, { status, headers, parts }, desk)
}

function selectFrom(exchange: Exchange, digest: Digest, size: number): Selection {
  const of = { size, contentType: OCTET_STREAM, etag: etagOf(digest) }
  return select(exchange.method, exchange.headers, of)
}
