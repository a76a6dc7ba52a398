import { pause } from '../../lib/async/abort.ts'
import { type Digest, parseDigest } from '../../oci/digest.ts'
import { type Descriptor, MAX_MANIFEST_BYTES } from '../../oci/manifest.ts'
import { ACCEPT_MANIFESTS, OCI_INDEX } from '../../oci/media-types.ts'
import type { Repository } from '../../oci/names/repository.ts'
import { Failure } from '../../ports/failure.ts'
import { type AgentRequest, AgentRequests, asFailure, refusalOf, SILENCE_MS } from './agent-requests.ts'
import { getDirectly } from './direct-body.ts'
import type { ImageReader, ReadManifest } from './image-reader.ts'
import { referrersIn } from './resolver-reader.ts'

/** A list of referrers that is larger than a manifest is an error too. */
const MAX_ANSWER_BYTES = 2 * MAX_MANIFEST_BYTES
const PIECE_BYTES = 1024 * 1024
/** How often a body that broke off is continued without one more byte of it. */
const MAX_TRIES = 4
const RETRY_PAUSE_MS = 500

type Options = { readonly signal: AbortSignal }

/** Reads images through the registry API of a running agent. */
export class RegistryReader implements ImageReader {
  readonly #requests: AgentRequests

  /**
   * `origin`: such as `http://127.0.0.1:5050`. Its certificate is not checked: the address comes from the agent on this
   * machine, and every byte is checked by its digest.
   */
  constructor(origin: URL) {
    this.#requests = new AgentRequests(origin)
  }

  async manifest(repository: Repository, reference: string, { signal }: Options): Promise<ReadManifest> {
    const path = `manifests/${reference}`
    const response = await this.#requests.get({
      path,
      repository,
      signal,
      headers: { accept: ACCEPT_MANIFESTS },
    })
    const bytes = await this.#requests.whole(response, MAX_MANIFEST_BYTES)
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
    // 404 means that the agent may not ask for them: a manifest without referrers has an empty list.
    const path = `referrers/${subject}`
    const response = await this.#requests.get({ path, repository, signal, headers: { accept: OCI_INDEX } })
    return referrersIn(await this.#requests.whole(response, MAX_ANSWER_BYTES), subject)
  }

  /** Whether a registry answers at this address by this protocol. */
  answers(signal: AbortSignal): Promise<boolean> {
    return this.#requests.answers(signal)
  }

  close(): void {
    this.#requests.close()
  }

  async *#blobFrom(
    repository: Repository,
    digest: Digest,
    position: number,
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array> {
    const headers: Record<string, string> = position === 0 ? {} : { range: `bytes=${position}-` }
    const request = { path: `blobs/${digest}`, repository, signal, headers }
    try {
      if (!(yield* this.#directly(request, digest, position)))
        yield* this.#streamed(request, digest, position)
    } catch (error) {
      throw asFailure(error, signal)
    }
  }

  /** Reads a body without a stream of buffers. False: that is impossible, and nothing was given. */
  async *#directly(
    request: AgentRequest,
    digest: Digest,
    position: number,
  ): AsyncGenerator<Uint8Array, boolean> {
    const url = this.#requests.urlOf(request)
    if (url.protocol !== 'http:') return false
    const { headers, signal } = request
    const body = await getDirectly({ url, headers, signal, silenceMs: SILENCE_MS })
    if (body === undefined) return false
    const { status } = body.head
    try {
      if (status !== 200 && status !== 206) throw await refusalOf(status, body.pieces(), signal)
      checkStart(digest, position, status, body.head.headers.get('content-range'))
      yield* body.pieces()
      return true
    } finally {
      body.close()
    }
  }

  async *#streamed(request: AgentRequest, digest: Digest, position: number): AsyncGenerator<Uint8Array> {
    const response = await this.#requests.get(request)
    try {
      checkStart(digest, position, response.statusCode, response.headers['content-range'])
      yield* inPieces(response)
      if (!response.complete) throw new Failure('unavailable', `the agent has broken off ${digest}`)
    } finally {
      response.destroy()
    }
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

function checkStart(
  digest: Digest,
  position: number,
  status: number | undefined,
  range: string | undefined,
): void {
  const start = status === 206 ? Number(/^bytes (\d+)-/.exec(range ?? '')?.[1]) : 0
  if (start !== position) throw new Failure('unavailable', `the agent sends ${digest} from byte ${start}`)
}
