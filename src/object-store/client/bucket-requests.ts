import { type Dispatcher, request as sendWithUndici } from 'undici'
import { authoritiesWith } from '../../lib/authorities.ts'
import { errorCode } from '../../lib/error-code.ts'
import { createDispatcher } from '../../lib/undici/dispatcher.ts'
import { WatchedFile } from '../../lib/watched-file.ts'
import { Failure } from '../../ports/failure.ts'
import { type BucketOptions, bucketText, bucketUrl } from '../options/options.ts'
import { failureOfAnswer, isBucketMissing, isExpired } from './answer-failure.ts'
import { NO_PAYLOAD, Signer } from './signer.ts'

const CONNECTIONS = 8
const CONNECT_MS = 5_000
const MAX_ANSWER_BYTES = 8 * 1024 * 1024
/** Only the begin of a longer error is read. */
const MAX_ERROR_BYTES = 64 * 1024

export interface BucketRequest {
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE'
  /** The key below the prefix; empty for the bucket itself. */
  readonly key: string
  readonly query?: Readonly<Record<string, string>>
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Uint8Array | string
  /** The SHA-256 of the body in hex; needed with a body. */
  readonly payloadHash?: string
  /** Statuses that are answers rather than failures, besides 200 to 299. */
  readonly expected?: readonly number[]
  /** Default: that of all requests. */
  readonly deadlineMs?: number
}

export interface BucketAnswer {
  readonly status: number
  readonly headers: { get(name: string): string | undefined }
  readonly text: string
}

/** Forward proxies, as `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` name them. */
export interface BucketProxies {
  readonly http?: string
  readonly https?: string
  readonly exceptions?: string
}

export interface BucketRequestsOptions {
  readonly bucket: BucketOptions
  readonly userAgent: string
  readonly proxies: BucketProxies | undefined
  /** How long one request may take, with its body. */
  readonly deadlineMs: number
}

/** Sends signed requests to one bucket, with small answers. Expired credentials are read again, once for a request. */
export class BucketRequests {
  readonly source: string
  readonly signer: Signer
  readonly #options: BucketRequestsOptions
  readonly #base: URL
  #dispatcher: Promise<Dispatcher> | undefined
  #isClosed = false

  constructor(options: BucketRequestsOptions) {
    this.source = bucketText(options.bucket)
    this.signer = new Signer(options.bucket, this.source)
    this.#options = options
    this.#base = bucketUrl(options.bucket)
  }

  get bucketOptions(): BucketOptions {
    return this.#options.bucket
  }

  get userAgent(): string {
    return this.#options.userAgent
  }

  urlOf(key: string, query: Readonly<Record<string, string>> = {}): URL {
    const url = new URL(this.#base)
    url.pathname += this.#pathOf(key)
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value)
    return url
  }

  /** Names an object as the source of a copy: with the bucket, also where the bucket is a part of the host. */
  copySourceOf(key: string): string {
    const { bucket } = this.#options.bucket
    // The name of a bucket that is the endpoint itself is unknown; it can only be in the path.
    return bucket === '' ? this.urlOf(key).pathname : `/${bucket}/${this.#pathOf(key)}`
  }

  async send(request: BucketRequest, { signal }: { signal: AbortSignal }): Promise<BucketAnswer> {
    const { deadlineMs = this.#options.deadlineMs } = request
    const within = AbortSignal.any([signal, AbortSignal.timeout(deadlineMs)])
    for (let attempt = 0; ; attempt += 1) {
      const { answer, credentials } = await this.#sendOnce(request, { signal, within })
      const { status } = answer
      const isExpected = request.expected?.includes(status) === true && !isBucketMissing(answer)
      if ((status >= 200 && status < 300) || isExpected) return answer
      if (attempt > 0 || !isExpired(answer)) throw failureOfAnswer(answer, this.source)
      this.signer.forget(credentials)
    }
  }

  /** Reads the file of the authority. Rejects with a `FileProblem` if it cannot be used. */
  async open(): Promise<void> {
    await this.#opened()
  }

  async close(): Promise<void> {
    this.#isClosed = true
    const dispatcher = await this.#dispatcher?.catch(() => undefined)
    await dispatcher?.destroy(new Failure('stopping', 'The agent is stopping.'))
  }

  async #sendOnce(
    { method, key, query, headers = {}, body, payloadHash = NO_PAYLOAD, deadlineMs }: BucketRequest,
    { signal, within }: { signal: AbortSignal; within: AbortSignal },
  ) {
    const url = this.urlOf(key, query)
    const signed = await this.signer.sign({ method, url, headers, payloadHash }, { signal: within })
    try {
      const answer = await sendWithUndici(url, {
        method,
        headers: { ...signed.headers, 'user-agent': this.#options.userAgent },
        ...(body === undefined ? {} : { body }),
        dispatcher: await this.#opened(),
        reset: false,
        ...(deadlineMs === undefined ? {} : { headersTimeout: deadlineMs, bodyTimeout: deadlineMs }),
        signal: within,
      })
      const text =
        answer.statusCode < 300
          ? await readText(answer.body, this.source)
          : await readBegin(answer.body, MAX_ERROR_BYTES)
      const get = (name: string): string | undefined => [answer.headers[name]].flat()[0]
      return {
        answer: { status: answer.statusCode, headers: { get }, text },
        credentials: signed.credentials,
      }
    } catch (error) {
      signal.throwIfAborted()
      if (error instanceof Failure) throw error
      throw requestFailure(
        this.source,
        within.aborted ? undefined : error,
        deadlineMs ?? this.#options.deadlineMs,
      )
    }
  }

  /** The key with the prefix of the settings, encoded for a URL. */
  #pathOf(key: string): string {
    const { prefix } = this.#options.bucket
    const path = key === '' || prefix === '' ? key : `${prefix}/${key}`
    return path.split('/').map(encodeURIComponent).join('/')
  }

  #opened(): Promise<Dispatcher> {
    if (this.#isClosed) return Promise.reject(new Failure('stopping', 'The agent is stopping.'))
    this.#dispatcher ??= this.#open().catch((error: unknown) => {
      // The file of an authority may be mended later.
      this.#dispatcher = undefined
      throw error
    })
    return this.#dispatcher
  }

  async #open(): Promise<Dispatcher> {
    const { bucket, proxies, deadlineMs } = this.#options
    const { caFile, acceptInvalidCerts = false } = bucket
    const ca =
      caFile === undefined
        ? undefined
        : await new WatchedFile(caFile, { parse: (text) => authoritiesWith(text, caFile) }).read()
    const tls = { rejectUnauthorized: !acceptInvalidCerts, ...(ca === undefined ? {} : { ca }) }
    const settings = {
      connections: CONNECTIONS,
      headersTimeout: deadlineMs,
      bodyTimeout: deadlineMs,
      connect: { timeout: CONNECT_MS },
    }
    return createDispatcher(settings, { tls, proxies })
  }
}

/** The error of a request without an answer. A message of the system is not repeated: its code can be looked up. */
function requestFailure(source: string, error: unknown, deadlineMs: number): Failure {
  const why =
    error === undefined ? `no answer within ${deadlineMs / 1000} s` : (errorCode(error) ?? messageOf(error))
  return new Failure('unavailable', `${source}: ${why}.`, { source, cause: error })
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : 'the request failed'
}

async function readText(body: AsyncIterable<Buffer>, source: string): Promise<string> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of body) {
    length += chunk.length
    if (length > MAX_ANSWER_BYTES)
      throw new Failure('too-large', `${source}: an answer is too long.`, { source })
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

async function readBegin(body: AsyncIterable<Buffer>, limit: number): Promise<string> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of body) {
    chunks.push(chunk)
    length += chunk.length
    if (length >= limit) break
  }
  return Buffer.concat(chunks).subarray(0, limit).toString('utf8')
}
