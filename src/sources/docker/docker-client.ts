import type { Readable } from 'node:stream'
import { Agent, type Dispatcher, request } from 'undici'
import * as v from 'valibot'
import { parseJson } from '../../lib/json.ts'
import { Failure } from '../../ports/failure.ts'
import type { DockerHost } from './docker-host.ts'
import { SaveConnection } from './save-connection.ts'

/** A reference such as `busybox:1.36`, without a registry for images of Docker Hub. */
const ListShape = v.array(
  v.object({
    Id: v.string(),
    RepoTags: v.nullish(v.array(v.string())),
    RepoDigests: v.nullish(v.array(v.string())),
  }),
)
const ImageShape = v.object({
  Id: v.string(),
  RepoTags: v.nullish(v.array(v.string())),
  Size: v.optional(v.number()),
  RootFS: v.optional(v.object({ Layers: v.nullish(v.array(v.string())) })),
  /** Only where Docker keeps images in containerd: the manifest or index that the name refers to. */
  Descriptor: v.nullish(v.object({ mediaType: v.string(), digest: v.string(), size: v.number() })),
})
const ErrorShape = v.object({ message: v.string() })

export type DockerImage = v.InferOutput<typeof ImageShape>
export type ListedImage = v.InferOutput<typeof ListShape>[number]

const CALL_MS = 30_000
/** Docker prepares the archive of a large image before it sends the first byte. */
const SAVE_DEADLINES = { connectMs: CALL_MS, firstByteMs: 15 * 60_000, silenceMs: 120_000 }
const MAX_ERROR_BYTES = 64 * 1024
const MOST_JSON_BYTES = 64 * 1024 * 1024
/** After a failed call; clients ask again. */
const RETRY_MS = 5_000

/** The calls of the Docker Engine API that images need. */
export class DockerClient {
  readonly name: string
  readonly #host: DockerHost
  readonly #dispatcher: Dispatcher
  #version: string | undefined

  constructor(host: DockerHost) {
    this.name = host.name
    this.#host = host
    this.#version = host.apiVersion
    this.#dispatcher = new Agent({
      connect: {
        timeout: CALL_MS,
        ...(host.socketPath === undefined ? {} : { socketPath: host.socketPath }),
        ...(host.tls === undefined
          ? {}
          : {
              ca: host.tls.ca,
              cert: host.tls.cert,
              key: host.tls.key,
              rejectUnauthorized: host.tls.isVerified,
            }),
      },
    })
  }

  async list(signal: AbortSignal): Promise<readonly ListedImage[]> {
    return this.#json('/images/json', ListShape, signal)
  }

  /** undefined: there is no such image. `reference`: a name or an id. */
  async inspect(reference: string, signal: AbortSignal): Promise<DockerImage | undefined> {
    return this.#json(
      `/images/${encodeURIComponent(reference)}/json`,
      v.union([ImageShape, v.undefined()]),
      signal,
    )
  }

  /** The archive of `docker save`. The caller closes it. */
  async save(reference: string, signal: AbortSignal): Promise<SaveConnection> {
    const path = `/images/${encodeURIComponent(reference)}/get`
    try {
      this.#version ??= await this.#negotiate(signal)
      const { status, body } = await SaveConnection.open({
        host: this.#host,
        path: `/v${this.#version}${path}`,
        deadlines: SAVE_DEADLINES,
        failureOf: (cause) => this.#away(cause),
        signal,
      })
      if (status === 200) return body
      try {
        throw this.#refused(path, status, await shortText(body))
      } finally {
        body.close()
      }
    } catch (cause) {
      throw signal.aborted ? signal.reason : this.#away(cause)
    }
  }

  /** Lines of JSON about images that were added, removed, or named; ends when the daemon does. */
  async events(signal: AbortSignal): Promise<Readable> {
    const path = `/events?filters=${encodeURIComponent(JSON.stringify({ type: ['image'] }))}`
    const { statusCode, body } = await this.#call(path, signal, { headersTimeout: CALL_MS, bodyTimeout: 0 })
    if (statusCode === 200) return body
    throw await this.#refusal(path, statusCode, body)
  }

  async close(): Promise<void> {
    await this.#dispatcher.destroy()
  }

  async #json<Shape extends v.GenericSchema>(
    path: string,
    shape: Shape,
    signal: AbortSignal,
  ): Promise<v.InferOutput<Shape>> {
    const deadline = AbortSignal.any([signal, AbortSignal.timeout(CALL_MS)])
    const { statusCode, body } = await this.#call(path, deadline, {
      headersTimeout: CALL_MS,
      bodyTimeout: CALL_MS,
    })
    const text = await this.#text(body)
    if (statusCode === 404) {
      const nothing = v.safeParse(shape, undefined)
      if (nothing.success) return nothing.output
    }
    if (statusCode !== 200) throw this.#refused(path, statusCode, text)
    const parsed = v.safeParse(shape, parseJson(text))
    if (parsed.success) return parsed.output
    throw new Failure(
      'unavailable',
      `Docker at ${this.name} has answered ${path} with something else than images.`,
      {
        source: this.name,
      },
    )
  }

  async #call(
    path: string,
    signal: AbortSignal,
    timeouts: { readonly headersTimeout: number; readonly bodyTimeout: number },
  ): Promise<Dispatcher.ResponseData> {
    try {
      this.#version ??= await this.#negotiate(signal)
      const url = `${this.#host.origin}/v${this.#version}${path}`
      return await request(url, { dispatcher: this.#dispatcher, signal, ...timeouts })
    } catch (cause) {
      throw signal.aborted && !isTimeout(signal.reason) ? signal.reason : this.#away(cause)
    }
  }

  /** The daemon may be replaced by one that speaks another version, so a failed call asks for the version anew. */
  async #negotiate(signal: AbortSignal): Promise<string> {
    const { headers, body } = await request(`${this.#host.origin}/_ping`, {
      dispatcher: this.#dispatcher,
      signal,
      headersTimeout: CALL_MS,
      bodyTimeout: CALL_MS,
    })
    await body.dump()
    const version = headers['api-version']
    if (typeof version === 'string' && /^1\.\d+$/.test(version)) return version
    throw new Error('this is not the API of a Docker daemon')
  }

  async #text(body: Readable): Promise<string> {
    const chunks: Buffer[] = []
    let bytes = 0
    try {
      for await (const chunk of body as AsyncIterable<Buffer>) {
        bytes += chunk.length
        if (bytes > MOST_JSON_BYTES) throw new Error(`the answer has more than ${MOST_JSON_BYTES} bytes`)
        chunks.push(chunk)
      }
    } catch (cause) {
      throw this.#away(cause)
    }
    return Buffer.concat(chunks).toString('utf8')
  }

  async #refusal(path: string, status: number, body: Readable): Promise<Failure> {
    return this.#refused(path, status, await this.#text(body))
  }

  #refused(path: string, status: number, text: string): Failure {
    const said = v.safeParse(ErrorShape, parseJson(text))
    const why = said.success ? said.output.message.slice(0, 300) : `status ${status}`
    if (this.#host.apiVersion === undefined) this.#version = undefined
    const code = status === 404 ? 'absent' : 'unavailable'
    return new Failure(code, `Docker at ${this.name} has refused ${path}: ${why}.`, { source: this.name })
  }

  #away(cause: unknown): Failure {
    if (cause instanceof Failure) return cause
    if (this.#host.apiVersion === undefined) this.#version = undefined
    const why = cause instanceof Error ? cause.message : String(cause)
    return new Failure(
      'busy',
      `Docker at ${this.name} cannot be reached (${why}). Start it, or let this user open its socket.`,
      { cause, source: this.name, retryAfterMs: RETRY_MS },
    )
  }
}

function isTimeout(reason: unknown): boolean {
  return reason instanceof DOMException && reason.name === 'TimeoutError'
}

/** An error is short; of a longer one the beginning is enough. */
async function shortText(body: SaveConnection): Promise<string> {
  const bytes = Buffer.alloc(MAX_ERROR_BYTES)
  let length = 0
  for (let count = -1; count !== 0; length += count) count = await body.read(bytes.subarray(length))
  return bytes.toString('utf8', 0, length)
}
