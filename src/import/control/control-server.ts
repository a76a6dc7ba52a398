import { chmod, mkdir, rm } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { dirname } from 'node:path'
import * as v from 'valibot'
import { jsonObject } from '../../lib/json.ts'
import { inputFromChunks } from '../../lib/tar/inputs.ts'
import { parseDigest } from '../../oci/digest.ts'
import { isTag } from '../../oci/names/names.ts'
import { Failure } from '../../ports/failure.ts'
import type { ImportTarget } from '../target/import-target.ts'
import {
  CONTROL_VERSION,
  ContentHead,
  FileRequest,
  ImageRequest,
  MAX_JSON_BYTES,
  ROUTES,
  StoredRequest,
} from './messages.ts'

/** A client that sends nothing of a content for so long is cut off. */
const SILENCE_MS = 60_000
const STOP_GRACE_MS = 2_000
const MAX_CONNECTIONS = 32
/** What `sockaddr_un` holds (unix(7)), without the zero at its end. */
const MAX_PATH_BYTES = 107
/** The header with a content's head, as JSON: node:http accepts 16 KiB of headers. */
export const HEAD_HEADER = 'leat-content'

export interface ControlServer {
  /** Gives a sentence about why imports are impossible; undefined when the server listens. */
  start(): Promise<string | undefined>
  stop(): Promise<void>
}

/**
 * The server of `agent import`, at a socket in a folder that only the agent's user can enter. Whoever can import can say
 * what a tag of any registry is, so the folder is the permission, and no TCP port leads here.
 */
export function createControlServer(path: string, target: ImportTarget): ControlServer {
  const stopping = new AbortController()
  const server = createServer({ requestTimeout: 0, headersTimeout: 10_000, keepAliveTimeout: 5_000 })
  server.maxConnections = MAX_CONNECTIONS
  server.on('request', (request, response) => void respond(request, response, target, stopping.signal))
  server.on('error', () => {})
  return {
    start: () => start(server, path),
    async stop() {
      stopping.abort(new Failure('stopping', 'the agent is shutting down'))
      await stop(server)
      if (Buffer.byteLength(path) <= MAX_PATH_BYTES) await rm(path, { force: true }).catch(() => {})
    },
  }
}

/** An agent that has ended without stopping leaves its socket; the lock of the data folder says that no other uses it. */
async function start(server: Server, path: string): Promise<string | undefined> {
  const folder = dirname(path)
  if (Buffer.byteLength(path) > MAX_PATH_BYTES) {
    return `agent import needs the agent to be stopped: ${path} is too long for a socket; choose a data folder with a shorter path`
  }
  try {
    await mkdir(folder, { mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error
    })
    await chmod(folder, 0o700)
    await rm(path, { force: true })
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(path, () => {
        server.off('error', reject)
        resolve()
      })
    })
    await chmod(path, 0o600)
    return undefined
  } catch (error) {
    await stop(server)
    const why = error instanceof Error ? error.message : String(error)
    return `agent import needs the agent to be stopped, because no socket can be made in ${folder} (${why})`
  }
}

async function stop(server: Server): Promise<void> {
  if (!server.listening) return
  const timer = setTimeout(() => server.closeAllConnections(), STOP_GRACE_MS)
  try {
    await new Promise<void>((resolve) => {
      server.close(() => resolve())
      server.closeIdleConnections()
    })
  } finally {
    clearTimeout(timer)
  }
}

async function respond(
  request: IncomingMessage,
  response: ServerResponse,
  target: ImportTarget,
  stopping: AbortSignal,
): Promise<void> {
  const disconnected = new AbortController()
  response.once('close', () => disconnected.abort(new Failure('stopping', 'the command has ended')))
  const signal = AbortSignal.any([stopping, disconnected.signal])
  try {
    const answer = await answerTo(request, target, signal)
    if (answer instanceof Uint8Array) send(request, response, 200, answer, 'application/octet-stream')
    else send(request, response, 200, Buffer.from(JSON.stringify(answer)))
  } catch (error) {
    const { code, message, details } =
      error instanceof Failure ? error : new Failure('unavailable', `the agent has failed: ${String(error)}`)
    const body = {
      code,
      error: message,
      ...(details.found === undefined ? {} : { found: String(details.found) }),
    }
    const status = code === 'absent' ? 404 : code === 'unsupported' ? 400 : 500
    send(request, response, status, Buffer.from(JSON.stringify(body)))
  }
}

function send(
  request: IncomingMessage,
  response: ServerResponse,
  status: number,
  body: Uint8Array,
  contentType = 'application/json',
): void {
  if (response.destroyed) return
  // The rest of an unread request would be parsed as the next request.
  if (!request.complete) response.setHeader('Connection', 'close')
  response.writeHead(status, { 'Content-Type': contentType, 'Content-Length': body.length }).end(body)
}

async function answerTo(
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
