import { type IncomingMessage, Agent as PlainAgent, request as requestPlain } from 'node:http'
import { request as requestTls, Agent as TlsAgent } from 'node:https'
import { pause } from '../../lib/async/abort.ts'
import { errorCode } from '../../lib/error-code.ts'
import { type Digest, parseDigest } from '../../oci/digest.ts'
import { type Descriptor, MAX_MANIFEST_BYTES } from '../../oci/manifest.ts'
import { ACCEPT_MANIFESTS, OCI_INDEX } from '../../oci/media-types.ts'
import type { Repository } from '../../oci/names/repository.ts'
import { Failure } from '../../ports/failure.ts'
import type { ImageReader, ReadManifest } from './image-reader.ts'
import { referrersIn } from './resolver-reader.ts'

/** A list of referrers that is larger than a manifest is an error too. */
const MAX_ANSWER_BYTES = 2 * MAX_MANIFEST_BYTES
const PIECE_BYTES = 1024 * 1024
/** The agent waits up to 30 s for the first bytes of a content that it has to fetch. */
const SILENCE_MS = 60_000
/** How often a body that broke off is continued without one more byte of it. */
const MAX_TRIES = 4
const RETRY_PAUSE_MS = 500

type Options = { readonly signal: AbortSignal }

interface Request extends Options {
  readonly path: string
  readonly repository: Repository
  readonly headers: Readonly<Record<string, string>>
}

/** Reads images through the registry API of a running agent. */
export class RegistryReader implements ImageReader {
  readonly #origin: URL
  readonly #connections: PlainAgent

  /**
   * `origin`: such as `http://127.0.0.1:5050`. Its certificate is not checked: the address comes from the agent on this
   * machine, and every byte is checked by its digest.
   */
  constructor(origin: URL) {
    this.#origin = origin
    this.#connections =
      origin.protocol === 'https:'
        ? new TlsAgent({ keepAlive: true, rejectUnauthorized: false })
        : new PlainAgent({ keepAlive: true })
  }

  async manifest(repository: Repository, reference: string, { signal }: Options): Promise<ReadManifest> {
    const path = `manifests/${reference}`
    const response = await this.#get({ path, repository, signal, headers: { accept: ACCEPT_MANIFESTS } })
    const bytes = await this.#whole(response, MAX_MANIFEST_BYTES)
    const { 'content-type': mediaType, 'docker-content-digest': digest } = response.headers
    return { bytes, mediaType, digest: typeof digest === 'string' ? parseDigest(digest) : undefined }
  }

  /** Continues after the last byte when the agent or a source of it breaks off. */
  async *blob(
    repository: Repository,
    { digest, size }: Pick<Descriptor, 'digest' | 'size'>,
    { signal }: Options,
  ): AsyncGenerator<Uint8Array> {
    let position = 0
    for (let tries = 1; ; tries++) {
      const before = position
      try {
        for await (const chunk of this.#blobFrom(repository, digest, position, signal)) {
          yield chunk
          position += chunk.length
        }
        if (position >= size) return
        throw new Failure('unavailable', `the agent has sent ${position} of ${size} bytes of ${digest}`)
      } catch (error) {
        signal.throwIfAborted()
        const isLasting = error instanceof Failure && error.code !== 'unavailable'
        if (isLasting || (position === before && tries >= MAX_TRIES)) throw error
        if (position > before) tries = 0
        await pause(RETRY_PAUSE_MS, { signal })
      }
    }
  }

  async referrers(
    repository: Repository,
    subject: Digest,
    { signal }: Options,
  ): Promise<readonly Descriptor[]> {
    try {
      const path = `referrers/${subject}`
      const response = await this.#get({ path, repository, signal, headers: { accept: OCI_INDEX } })
      return referrersIn(await this.#whole(response, MAX_ANSWER_BYTES), subject)
    } catch (error) {
      if (error instanceof Failure && error.code === 'absent') return []
      throw error
    }
  }

  /** Whether a registry answers at this address by this protocol. */
  async answers(signal: AbortSignal): Promise<boolean> {
    try {
      const response = await this.#send(new URL('/v2/', this.#origin), {}, signal)
      response.destroy()
      // 401: the registry asks for a login, and may give images without one all the same.
      return response.statusCode === 200 || response.statusCode === 401
    } catch {
      signal.throwIfAborted()
      return false
    }
  }

  close(): void {
    this.#connections.destroy()
  }

  async *#blobFrom(
    repository: Repository,
    digest: Digest,
    position: number,
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array> {
    const headers: Record<string, string> = position === 0 ? {} : { range: `bytes=${position}-` }
    const response = await this.#get({ path: `blobs/${digest}`, repository, signal, headers })
    try {
      const start = response.statusCode === 206 ? startOf(response) : 0
      if (start !== position) throw new Failure('unavailable', `the agent sends ${digest} from byte ${start}`)
      yield* inPieces(response)
      if (!response.complete) throw new Failure('unavailable', `the agent has broken off ${digest}`)
    } catch (error) {
      throw asFailure(error, signal)
    } finally {
      response.destroy()
    }
  }

  async #get({ path, repository, headers, signal }: Request): Promise<IncomingMessage> {
    const url = new URL(`/v2/${repository.name}/${path}`, this.#origin)
    url.searchParams.set('ns', repository.registry)
    const response = await this.#send(url, headers, signal)
    const { statusCode = 0 } = response
    if (statusCode === 200 || statusCode === 206) return response
    const text = Buffer.from(await this.#whole(response, MAX_ANSWER_BYTES)).toString('utf8')
    throw new Failure(
      statusCode === 404 ? 'absent' : statusCode < 500 ? 'denied' : 'unavailable',
      said(text, statusCode),
    )
  }

  #send(url: URL, headers: Readonly<Record<string, string>>, signal: AbortSignal): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const request = url.protocol === 'https:' ? requestTls : requestPlain
      const outgoing = request(url, { agent: this.#connections, headers, signal }, resolve)
      outgoing.setTimeout(SILENCE_MS, () => outgoing.destroy(new Error(`no byte for ${SILENCE_MS / 1000} s`)))
      outgoing.on('error', (error) => reject(asFailure(error, signal)))
      outgoing.end()
    })
  }

  async #whole(response: IncomingMessage, most: number): Promise<Uint8Array> {
    const chunks: Uint8Array[] = []
    let size = 0
    try {
      for await (const chunk of response as AsyncIterable<Uint8Array>) {
        size += chunk.length
        if (size > most) throw new Failure('too-large', `the agent sends more than ${most} bytes`)
        chunks.push(chunk)
      }
    } finally {
      response.destroy()
    }
    return Buffer.concat(chunks)
  }
}

/** Joins the chunks of a socket, because the disk takes few large pieces faster than many small ones. */
async function* inPieces(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const piece = new Uint8Array(PIECE_BYTES)
  let filled = 0
  let failure: { readonly error: unknown } | undefined
  try {
    for await (const chunk of chunks) {
      for (let at = 0; at < chunk.length; ) {
        const part = chunk.subarray(at, at + piece.length - filled)
        piece.set(part, filled)
        filled += part.length
        at += part.length
        if (filled < piece.length) continue
        yield piece
        filled = 0
      }
    }
  } catch (error) {
    failure = { error }
  }
  // What has come before a failure is not asked for again.
  if (filled > 0) yield piece.subarray(0, filled)
  if (failure !== undefined) throw failure.error
}

function startOf({ headers }: IncomingMessage): number {
  return Number(/^bytes (\d+)-/.exec(headers['content-range'] ?? '')?.[1])
}

function asFailure(error: unknown, signal: AbortSignal): unknown {
  if (signal.aborted || error instanceof Failure) return error
  const why = errorCode(error) ?? (error instanceof Error ? error.message : String(error))
  return new Failure('unavailable', `the agent cannot be read (${why})`, { cause: error })
}

/** What the first error of an answer says. */
function said(text: string, status: number): string {
  try {
    const { errors } = JSON.parse(text) as { errors?: readonly { message?: unknown }[] }
    const message = errors?.[0]?.message
    if (typeof message === 'string' && message !== '') return message
  } catch {
    // The body is no JSON; the status says enough.
  }
  return `the agent answers ${status}`
}
