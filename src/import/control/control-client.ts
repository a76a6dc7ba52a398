import { once } from 'node:events'
import { type ClientRequest, type IncomingMessage, type RequestOptions, request } from 'node:http'
import * as v from 'valibot'
import { Deferred } from '../../lib/async/deferred.ts'
import { errorCode } from '../../lib/error-code.ts'
import { jsonObject } from '../../lib/json.ts'
import type { Digest } from '../../oci/digest.ts'
import { MAX_MANIFEST_BYTES } from '../../oci/manifest.ts'
import { Failure } from '../../ports/failure.ts'
import type { ReadBytes, WrittenContent } from '../../sources/docker/content-writer.ts'
import type { FileRange } from '../../sources/files/file-tree.ts'
import type {
  ContentToStore,
  FileToMove,
  ImageToName,
  ImportTarget,
  StoredFacts,
} from '../target/import-target.ts'
import {
  CONTROL_VERSION,
  ContentAnswer,
  CopyAnswer,
  FailureAnswer,
  FileAnswer,
  HEAD_HEADER,
  ImageAnswer,
  MAX_DIGESTS,
  ROUTES,
  StoredAnswer,
  VersionAnswer,
} from './messages.ts'

const PIECE_BYTES = 512 * 1024
const MAX_ANSWER_BYTES = Math.max(MAX_MANIFEST_BYTES, 1024 * 1024)

/** Imports through the socket of a running agent. */
export class ControlClient implements ImportTarget {
  readonly #path: string

  /** undefined: no agent listens there. Rejects with a `Failure` if this user may not import, or the agent is another version. */
  static async connect(path: string): Promise<ControlClient | undefined> {
    const client = new ControlClient(path)
    try {
      const { control } = await client.#json('GET', ROUTES.version, undefined, VersionAnswer)
      if (control === CONTROL_VERSION) return client
    } catch (error) {
      const code = error instanceof Failure ? errorCode(error.cause) : undefined
      if (code === 'ENOENT' || code === 'ECONNREFUSED' || code === 'ENOTDIR') return undefined
      if (code === 'EACCES' || code === 'EPERM') {
        throw new Failure(
          'denied',
          `${path} cannot be opened by this user: only the user of the agent, and root, may import. Run the command as that user.`,
        )
      }
      throw error
    }
    throw new Failure(
      'unsupported',
      'the running agent is of another version. Use the command of its version.',
    )
  }

  private constructor(path: string) {
    this.#path = path
  }

  async stored(digests: readonly Digest[]): Promise<ReadonlyMap<Digest, StoredFacts>> {
    const found = new Map<Digest, StoredFacts>()
    for (let at = 0; at < digests.length; at += MAX_DIGESTS) {
      const body = { digests: digests.slice(at, at + MAX_DIGESTS) }
      const { stored } = await this.#json('POST', ROUTES.stored, body, StoredAnswer)
      for (const { digest, ...facts } of stored) found.set(digest, facts)
    }
    return found
  }

  async manifest(digest: Digest): Promise<Uint8Array | undefined> {
    const outgoing = this.#request('GET', `${ROUTES.manifest}?digest=${encodeURIComponent(digest)}`)
    const response = answerOf(outgoing)
    outgoing.end()
    try {
      return await readAnswer(await response)
    } catch (error) {
      if (error instanceof Failure && error.code === 'absent') return undefined
      throw error
    }
  }

  async put(
    content: ContentToStore,
    read: ReadBytes,
    { signal }: { signal: AbortSignal },
  ): Promise<WrittenContent> {
    const head = Buffer.from(JSON.stringify(content)).toString('base64url')
    // The size of a content without a digest is only an upper bound.
    const length = content.digest === undefined ? {} : { 'content-length': String(content.size) }
    const outgoing = this.#request('PUT', ROUTES.content, { [HEAD_HEADER]: head, ...length }, signal)
    const response = answerOf(outgoing)
    try {
      await Promise.race([send(outgoing, read), response])
      return parse(await readAnswer(await response), ContentAnswer)
    } finally {
      if (!outgoing.writableFinished) outgoing.destroy()
    }
  }

  async copy(
    content: ContentToStore,
    file: FileRange,
    { signal }: { signal: AbortSignal },
  ): Promise<boolean> {
    return (await this.#json('POST', ROUTES.copy, { content, file }, CopyAnswer, signal)).copied
  }

  async move(file: FileToMove, { signal }: { signal: AbortSignal }): Promise<boolean> {
    return (await this.#json('POST', ROUTES.file, file, FileAnswer, signal)).moved
  }

  async name(image: ImageToName): Promise<readonly Digest[]> {
    return (await this.#json('POST', ROUTES.image, image, ImageAnswer)).missing
  }

  async close(): Promise<void> {}

  async #json<Schema extends v.GenericSchema>(
    method: string,
    path: string,
    body: object | undefined,
    schema: Schema,
    signal?: AbortSignal,
  ): Promise<v.InferOutput<Schema>> {
    const outgoing = this.#request(method, path, {}, signal)
    const response = answerOf(outgoing)
    outgoing.end(body === undefined ? undefined : JSON.stringify(body))
    return parse(await readAnswer(await response), schema)
  }

  #request(
    method: string,
    path: string,
    headers: Readonly<Record<string, string>> = {},
    signal?: AbortSignal,
  ): ClientRequest {
    const options: RequestOptions = { socketPath: this.#path, method, path, headers, agent: false }
    return request(signal === undefined ? options : { ...options, signal })
  }
}

function answerOf(outgoing: ClientRequest): Promise<IncomingMessage> {
  const answer = new Deferred<IncomingMessage>()
  answer.promise.catch(() => {})
  outgoing.once('response', (response) => answer.resolve(response))
  outgoing.on('error', (cause) => {
    if (cause.name === 'AbortError') answer.reject(cause)
    else answer.reject(lost(cause))
  })
  return answer.promise
}

/** Sends the bytes until the agent has answered, which it may do before the last one. */
async function send(outgoing: ClientRequest, read: ReadBytes): Promise<void> {
  try {
    // The next piece is read while the one before is being sent.
    let next = readPiece(read)
    for (let piece = await next; piece.length > 0 && !outgoing.destroyed; piece = await next) {
      const isSent = outgoing.write(piece)
      next = readPiece(read)
      next.catch(() => {})
      if (!isSent) await once(outgoing, 'drain')
    }
    outgoing.end()
  } catch (error) {
    // A request that is destroyed has rejected its answer, which says why.
    if (!outgoing.destroyed) {
      outgoing.destroy()
      throw error
    }
  }
}

async function readPiece(read: ReadBytes): Promise<Uint8Array> {
  const piece = Buffer.allocUnsafe(PIECE_BYTES)
  return piece.subarray(0, await read(piece))
}

async function readAnswer(response: IncomingMessage): Promise<Uint8Array> {
  const chunks: Buffer[] = []
  let bytes = 0
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      bytes += chunk.length
      if (bytes > MAX_ANSWER_BYTES) throw new Error('the answer is too long')
      chunks.push(chunk)
    }
  } catch (cause) {
    throw lost(cause)
  }
  const body = Buffer.concat(chunks)
  if (response.statusCode === 200) return body
  const failure = v.safeParse(FailureAnswer, jsonObject(body))
  if (!failure.success) throw new Failure('unavailable', 'the program at the socket is not an agent')
  const { code, error, found } = failure.output
  throw new Failure(code, error, found === undefined ? {} : { found })
}

function parse<Schema extends v.GenericSchema>(body: Uint8Array, schema: Schema): v.InferOutput<Schema> {
  const parsed = v.safeParse(schema, jsonObject(body))
  if (parsed.success) return parsed.output
  throw new Failure('unsupported', 'the running agent is of another version. Use the command of its version.')
}

function lost(cause: unknown): Failure {
  return new Failure('unavailable', 'the agent has closed the connection; start it, and import again', {
    cause,
  })
}
