import { Failure } from '../../ports/failure.ts'
import { textOf } from '../format/xml.ts'
import { failureOfAnswer } from './answer-failure.ts'
import { type BucketAnswer, BucketRequests, type BucketRequestsOptions } from './bucket-requests.ts'
import { type ListedObject, type Listing, parseListing } from './listing.ts'

/** The answers to a conditional write of an object that has changed, or is gone; and of a server that knows no conditions. */
const CHANGED = [404, 409, 412, 501]
const MAX_DELETED_AT_ONCE = 1000
/** How long a server may take to copy an object, which it may do byte by byte. */
const COPY_DEADLINE_MS = 15 * 60_000
/** The longest time for which a URL can be signed. */
const MAX_PRESIGNED_SECONDS = 7 * 24 * 60 * 60

export interface ObjectHead {
  readonly size: number
  /** Milliseconds since the epoch. */
  readonly modifiedAt: number
  readonly etag: string | undefined
}

export interface PutOptions {
  /** The SHA-256 of the body in hex, which the server verifies. */
  readonly sha256: string
  readonly contentType?: string
  /** Whether an object under this key is replaced; default: it stays, and `put` gives false. */
  readonly replace?: boolean
  readonly signal: AbortSignal
}

/** A small object as it was read. */
export interface ObjectText {
  readonly text: string
  readonly modifiedAt: number
  /** Names this version of the object. */
  readonly etag: string | undefined
}

type Options = { readonly signal: AbortSignal }

/** What a conditional write is, which a server knows or does not. */
type Condition = 'create' | 'complete' | 'replace' | 'delete'

/**
 * One bucket of a server that speaks S3. Keys are below the prefix of the settings. Each method rejects with a `Failure` that
 * names the bucket: `absent`, `denied` (credentials, rights, clock), or `unavailable`.
 */
export class Bucket {
  readonly requests: BucketRequests
  readonly #encryption: Readonly<Record<string, string>>
  /** The conditions that the server has refused because it does not know them: some know those of one kind of write only. */
  readonly #unknown = new Set<Condition>()

  constructor(options: BucketRequestsOptions) {
    this.requests = new BucketRequests(options)
    const { sse, sseKeyId } = options.bucket
    this.#encryption = {
      ...(sse === undefined ? {} : { 'x-amz-server-side-encryption': sse }),
      ...(sseKeyId === undefined ? {} : { 'x-amz-server-side-encryption-aws-kms-key-id': sseKeyId }),
    }
  }

  /** Names the bucket for people. */
  get name(): string {
    return this.requests.source
  }

  /** Reads a small object as text; undefined when there is none. */
  async read(key: string, { signal }: Options): Promise<ObjectText | undefined> {
    const answer = await this.requests.send({ method: 'GET', key, expected: [404] }, { signal })
    if (answer.status === 404) return undefined
    return { text: answer.text, modifiedAt: modifiedAt(answer), etag: answer.headers.get('etag') }
  }

  /** Gives undefined when there is no such object. */
  async head(key: string, { signal }: Options): Promise<ObjectHead | undefined> {
    const answer = await this.requests.send({ method: 'HEAD', key, expected: [404] }, { signal })
    return answer.status === 404 ? undefined : headOf(answer, this.name)
  }

  /** Gives false when the object exists already, and is not to be replaced. */
  async put(key: string, body: Uint8Array, options: PutOptions): Promise<boolean> {
    const { sha256, contentType = 'application/octet-stream', replace = false, signal } = options
    const { status } = await this.conditionally('create', replace, (condition) =>
      this.requests.send(
        {
          method: 'PUT',
          key,
          headers: { ...condition, ...this.#encryption, 'content-type': contentType },
          body,
          payloadHash: sha256,
          expected: [409, 412, 501],
        },
        { signal },
      ),
    )
    return status === 200
  }

  /**
   * Writes a small object in the place of the version that was read; undefined: there was none. Gives false when the object has
   * changed since. A server that knows no conditional writes replaces whatever there is.
   */
  async replace(
    key: string,
    body: Uint8Array,
    { known, sha256, signal }: { known: ObjectText | undefined; sha256: string } & Options,
  ): Promise<boolean> {
    const headers = { ...this.#encryption, 'content-type': 'application/octet-stream' }
    const { status } = await this.#ifSame(known === undefined ? 'create' : 'replace', known, (condition) =>
      this.requests.send(
        {
          method: 'PUT',
          key,
          headers: { ...headers, ...condition },
          body,
          payloadHash: sha256,
          expected: CHANGED,
        },
        { signal },
      ),
    )
    return status < 300
  }

  /** Removes the version of an object that was read. Gives false when the object has changed since, or is gone. */
  async deleteVersion(key: string, { known, signal }: { known: ObjectText } & Options): Promise<boolean> {
    const { status } = await this.#ifSame('delete', known, (headers) =>
      this.requests.send({ method: 'DELETE', key, headers, expected: CHANGED }, { signal }),
    )
    return status < 300
  }

  /** Sends a write that fails when the object exists; without the condition where the server does not know it. */
  async conditionally(
    kind: Condition,
    replace: boolean,
    send: (condition: Readonly<Record<string, string>>) => Promise<BucketAnswer>,
  ): Promise<BucketAnswer> {
    const isConditional = !replace && !this.#unknown.has(kind)
    const answer = await send(isConditional ? { 'if-none-match': '*' } : {})
    if (answer.status === 501 && isConditional) {
      this.#unknown.add(kind)
      return this.conditionally(kind, replace, send)
    }
    // 409: another write of the same object was under way.
    const isExpected = answer.status === 412 || (answer.status === 409 && isConditional)
    if (answer.status >= 400 && !isExpected) throw failureOfAnswer(answer, this.name)
    return answer
  }

  /** Sends a write of an object that fails when it is not the known version any more. */
  async #ifSame(
    kind: Condition,
    known: ObjectText | undefined,
    send: (condition: Readonly<Record<string, string>>) => Promise<BucketAnswer>,
  ): Promise<BucketAnswer> {
    const condition: Readonly<Record<string, string>> =
      known === undefined
        ? { 'if-none-match': '*' }
        : known.etag === undefined
          ? {}
          : { 'if-match': known.etag }
    const isConditional = !this.#unknown.has(kind) && Object.keys(condition).length > 0
    const answer = await send(isConditional ? condition : {})
    if (answer.status === 501 && isConditional) {
      this.#unknown.add(kind)
      return send({})
    }
    if (answer.status === 501) throw failureOfAnswer(answer, this.name)
    return answer
  }

  get encryption(): Readonly<Record<string, string>> {
    return this.#encryption
  }

  /** Makes an object young again by copying it onto itself. */
  async refresh(key: string, { signal }: Options): Promise<void> {
    const headers = {
      ...this.#encryption,
      'x-amz-copy-source': this.requests.copySourceOf(key),
      'x-amz-metadata-directive': 'REPLACE',
      'content-type': 'application/octet-stream',
    }
    const request = { method: 'PUT', key, headers, deadlineMs: COPY_DEADLINE_MS } as const
    const { text } = await this.requests.send(request, { signal })
    // The server may answer 200 before it knows that the copy fails.
    const code = textOf(text, 'Code')
    if (code === undefined) return
    const message = `${this.name} could not copy an object onto itself: ${code}.`
    throw new Failure('unavailable', message, { source: this.name })
  }

  /** Lists all objects whose keys begin with `prefix`, in the order of their keys. */
  async *list(prefix: string, { signal }: Options): AsyncGenerator<ListedObject> {
    for await (const page of this.#pages(prefix, undefined, { signal })) yield* page.objects
  }

  /** Lists the names of the folders in a folder, whose key ends with a slash. */
  async *folders(prefix: string, { signal }: Options): AsyncGenerator<string> {
    for await (const page of this.#pages(prefix, '/', { signal })) yield* page.folders
  }

  /** Lists the first objects whose keys begin with `prefix`, with the time of the server. */
  async firstPage(
    prefix: string,
    { most, signal }: { most: number } & Options,
  ): Promise<{ readonly objects: readonly ListedObject[]; readonly serverTime: number | undefined }> {
    const query = { 'list-type': '2', prefix: `${this.#below}${prefix}`, 'max-keys': String(most) }
    const { text, headers } = await this.requests.send({ method: 'GET', key: '', query }, { signal })
    const date = Date.parse(headers.get('date') ?? '')
    return {
      objects: parseListing(text, { below: this.#below, source: this.name }).objects,
      serverTime: Number.isNaN(date) ? undefined : date,
    }
  }

  async delete(keys: readonly string[], { signal }: Options): Promise<void> {
    // One request for each: not every server knows how to delete many at once.
    for (const key of keys.slice(0, MAX_DELETED_AT_ONCE))
      await this.requests.send({ method: 'DELETE', key, expected: [404] }, { signal })
  }

  /** A URL by which anybody may get the object for that long, without credentials. It is a secret. */
  presign(
    key: string,
    {
      method = 'GET',
      expiresInSeconds,
      signal,
    }: { method?: 'GET' | 'HEAD'; expiresInSeconds: number } & Options,
  ): Promise<URL> {
    const seconds = Math.min(Math.max(1, Math.floor(expiresInSeconds)), MAX_PRESIGNED_SECONDS)
    return this.requests.signer.presign(this.requests.urlOf(key), {
      method,
      expiresInSeconds: seconds,
      signal,
    })
  }

  close(): Promise<void> {
    return this.requests.close()
  }

  /** What all keys of this bucket begin with on the server. */
  get #below(): string {
    const { prefix } = this.requests.bucketOptions
    return prefix === '' ? '' : `${prefix}/`
  }

  async *#pages(prefix: string, delimiter: string | undefined, { signal }: Options): AsyncGenerator<Listing> {
    let token: string | undefined
    do {
      const query = {
        'list-type': '2',
        prefix: `${this.#below}${prefix}`,
        ...(delimiter === undefined ? {} : { delimiter }),
        ...(token === undefined ? {} : { 'continuation-token': token }),
      }
      const { text } = await this.requests.send({ method: 'GET', key: '', query }, { signal })
      const page = parseListing(text, { below: this.#below, source: this.name })
      yield page
      token = page.next
    } while (token !== undefined)
  }
}

function headOf({ headers }: BucketAnswer, source: string): ObjectHead {
  const length = headers.get('content-length')
  if (length === undefined || !/^\d{1,15}$/.test(length)) {
    throw new Failure('unavailable', `${source}: an answer does not say the size of an object.`, { source })
  }
  return { size: Number(length), modifiedAt: modifiedAt({ headers }), etag: headers.get('etag') }
}

/** An object without a time is a new one. */
function modifiedAt({ headers }: Pick<BucketAnswer, 'headers'>): number {
  const at = Date.parse(headers.get('last-modified') ?? '')
  return Number.isNaN(at) ? Date.now() : at
}
