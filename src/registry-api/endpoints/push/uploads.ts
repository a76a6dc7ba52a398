import { type Digest, digestOf } from '../../../oci/digest.ts'
import type { UploadState } from '../../../ports/hosted.ts'
import { COMMON_HEADERS, respondError } from '../../answer/respond.ts'
import type { HttpExchange } from '../../exchange/http-exchange.ts'
import {
  linkTo,
  NO_BODY,
  type PushResources,
  type PushTarget,
  UPLOAD_UNKNOWN,
  uploadHeaders,
} from './push-context.ts'
import { receiveUpload } from './receive-upload.ts'

/** Begins an upload, or mounts a blob, or takes a whole blob that comes with the request. */
export async function respondBegin(
  exchange: HttpExchange,
  target: PushTarget,
  resources: PushResources,
): Promise<void> {
  const { repository, query, from } = target
  const { hosted } = resources
  if (query.mount !== undefined && from !== undefined) {
    const { digest } = query.mount
    if (await hosted.mount(repository, digest, from)) return respondBlobCreated(exchange, target, digest)
  }
  const { digest, algorithm } = query
  const upload = await hosted.uploads.begin(repository, { algorithm })
  // Some clients name the digest at the beginning and send the blob later.
  const bringsBlob = digest !== undefined && (exchange.body.length !== 0 || isOfNothing(digest))
  if (!bringsBlob) return respondUpload(exchange, target, 202, upload)
  let isDone = false
  try {
    await receiveUpload(exchange, target, upload.id, resources, (writer) => writer.finish(digest))
    isDone = true
  } finally {
    if (!isDone) await hosted.uploads.cancel(repository, upload.id)
  }
  respondBlobCreated(exchange, target, digest)
}

export async function respondUploadState(
  exchange: HttpExchange,
  target: PushTarget,
  id: string,
  { hosted }: PushResources,
): Promise<void> {
  const state = await hosted.uploads.state(target.repository, id)
  if (state === undefined) return respondError(exchange, UPLOAD_UNKNOWN)
  respondUpload(exchange, target, 204, state)
}

export async function respondAppend(
  exchange: HttpExchange,
  target: PushTarget,
  id: string,
  resources: PushResources,
): Promise<void> {
  const position = await receiveUpload(exchange, target, id, resources, async (writer) => writer.position)
  respondUpload(exchange, target, 202, { id, position })
}

export async function respondFinish(
  exchange: HttpExchange,
  target: PushTarget,
  id: string,
  resources: PushResources,
): Promise<void> {
  const { digest } = target.query
  if (digest === undefined) {
    const message = 'the digest of the blob is missing: add ?digest=sha256:<64 hex digits> to the location'
    return respondError(exchange, { status: 400, code: 'DIGEST_INVALID', message })
  }
  await receiveUpload(exchange, target, id, resources, (writer) => writer.finish(digest))
  respondBlobCreated(exchange, target, digest)
}

export async function respondCancel(
  exchange: HttpExchange,
  target: PushTarget,
  id: string,
  { hosted }: PushResources,
): Promise<void> {
  if (!(await hosted.uploads.cancel(target.repository, id))) return respondError(exchange, UPLOAD_UNKNOWN)
  exchange.answer(204, { ...COMMON_HEADERS }, NO_BODY)
}

function respondUpload(
  exchange: HttpExchange,
  target: PushTarget,
  status: 202 | 204,
  state: UploadState,
): void {
  // RFC 9110 section 8.6: an answer with 204 has no Content-Length.
  const length = status === 204 ? {} : { 'Content-Length': 0 }
  exchange.answer(status, { ...uploadHeaders(target, state), ...length }, NO_BODY)
}

function respondBlobCreated(exchange: HttpExchange, target: PushTarget, digest: Digest): void {
  exchange.facts.reference = digest
  const headers = {
    ...COMMON_HEADERS,
    Location: linkTo(target, `blobs/${digest}`),
    'Docker-Content-Digest': digest,
    'Content-Length': 0,
  }
  exchange.answer(201, headers, NO_BODY)
}

function isOfNothing(digest: Digest): boolean {
  return digest === digestOf(NO_BODY) || digest === digestOf(NO_BODY, 'sha512')
}
