import type { IncomingMessage } from 'node:http'
import * as v from 'valibot'
import { jsonObject } from '../../lib/json.ts'
import { inputFromChunks } from '../../lib/tar/inputs.ts'
import { parseDigest } from '../../oci/digest.ts'
import { isTag } from '../../oci/names/names.ts'
import { Failure } from '../../ports/failure.ts'
import { FileReader } from '../formats/file-reader.ts'
import type { ImportTarget } from '../target/import-target.ts'
import {
  CONTROL_VERSION,
  ContentHead,
  CopyRequest,
  FileRequest,
  HEAD_HEADER,
  ImageRequest,
  MAX_JSON_BYTES,
  ROUTES,
  StoredRequest,
} from './messages.ts'

/** A client that sends nothing of a content for so long is cut off. */
const SILENCE_MS = 60_000

/** Carries out a request, and gives the JSON or the bytes of the answer. Rejects with a `Failure` that the client gets. */
export async function answerTo(
  request: IncomingMessage,
  target: ImportTarget,
  signal: AbortSignal,
): Promise<Uint8Array | object> {
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://control')
  switch (`${request.method} ${pathname}`) {
    case `GET ${ROUTES.version}`:
      return { control: CONTROL_VERSION }
    case `POST ${ROUTES.stored}`: {
      const { digests } = checked(StoredRequest, await readJson(request))
      const stored = await target.stored(digests)
      return { stored: [...stored].map(([digest, facts]) => ({ digest, ...facts })) }
    }
    case `GET ${ROUTES.manifest}`: {
      const digest = parseDigest(searchParams.get('digest') ?? '')
      const bytes = digest === undefined ? undefined : await target.manifest(digest)
      if (bytes === undefined) throw new Failure('absent', 'this manifest is not stored')
      return bytes
    }
    case `PUT ${ROUTES.content}`:
      return putContent(request, target, signal)
    case `POST ${ROUTES.copy}`:
      return { copied: await copyFile(checked(CopyRequest, await readJson(request)), target, signal) }
    case `POST ${ROUTES.file}`:
      return { moved: await target.move(checked(FileRequest, await readJson(request)), { signal }) }
    case `POST ${ROUTES.image}`: {
      const { tag, ...image } = checked(ImageRequest, await readJson(request))
      if (tag !== undefined && !isTag(tag)) throw malformed()
      return { missing: await target.name({ ...image, tag }) }
    }
    default:
      throw new Failure('unsupported', 'this agent does not know the request; use the command of its version')
  }
}

async function putContent(
  request: IncomingMessage,
  target: ImportTarget,
  signal: AbortSignal,
): Promise<object> {
  const header = request.headers[HEAD_HEADER]
  const text = typeof header === 'string' ? Buffer.from(header, 'base64url') : new Uint8Array()
  const { digest, mediaType, ...head } = checked(ContentHead, jsonObject(text))
  const input = inputFromChunks(request)
  let left = head.size
  const read = async (buffer: Uint8Array): Promise<number> => {
    signal.throwIfAborted()
    if (left === 0) return 0
    const timer = setTimeout(() => request.destroy(), SILENCE_MS)
    try {
      const count = await input.read(buffer.subarray(0, Math.min(buffer.length, left)))
      left -= count
      return count
    } finally {
      clearTimeout(timer)
    }
  }
  const written = await target.put({ ...head, digest, mediaType }, read, { signal })
  return { digest: written.digest, size: written.size }
}

/** False: this agent sees another file at the path, or none, or may not read it. Then the command sends the bytes. */
async function copyFile(
  { content: { digest, mediaType, ...head }, file }: v.InferOutput<typeof CopyRequest>,
  target: ImportTarget,
  signal: AbortSignal,
): Promise<boolean> {
  if (digest === undefined) throw malformed()
  const reader = await FileReader.open(file, () => {}).catch(() => undefined)
  if (reader === undefined) return false
  const read = (buffer: Uint8Array): Promise<number> => {
    signal.throwIfAborted()
    return reader.read(buffer)
  }
  try {
    await target.put({ ...head, digest, mediaType }, read, { signal })
    return true
  } finally {
    await reader.close()
  }
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > MAX_JSON_BYTES) throw malformed()
    chunks.push(chunk)
  }
  return jsonObject(Buffer.concat(chunks))
}

function checked<Schema extends v.GenericSchema>(schema: Schema, value: unknown): v.InferOutput<Schema> {
  const result = v.safeParse(schema, value)
  if (!result.success) throw malformed()
  return result.output
}

function malformed(): Failure {
  return new Failure(
    'unsupported',
    'the agent does not understand the request; use the command of its version',
  )
}
