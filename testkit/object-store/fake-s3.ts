import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { answerList, answerParts, answerUploads } from './listings.ts'
import { Objects, type PendingUpload } from './objects.ts'

/** What goes wrong with a request. */
export type S3Fault =
  /** Answers with this error. */
  | { readonly kind: 'error'; readonly status: number; readonly code: string }
  /** Answers 200 with this text. */
  | { readonly kind: 'text'; readonly text: string }
  /** Never answers. */
  | { readonly kind: 'silent' }
  /** Sends so many bytes of the body, and then nothing. */
  | { readonly kind: 'stall'; readonly after: number }
  /** Sends so many bytes of the body, and closes the connection. */
  | { readonly kind: 'cut'; readonly after: number }

export interface S3Request {
  readonly method: string
  /** Without the bucket. */
  readonly key: string
  readonly query: string
  readonly headers: IncomingMessage['headers']
  /** How many bytes its answer had. */
  sent: number
}

/** A server that speaks enough of S3 for the tests, serves one bucket from memory, and fails on demand. It verifies no signature. */
export class FakeS3 {
  readonly objects: Objects
  readonly requests: S3Request[] = []
  /** Asked for each request; undefined: nothing goes wrong. */
  faultOf: (request: S3Request) => S3Fault | undefined = () => undefined
  /** Access keys whose credentials are expired. */
  readonly expiredKeys = new Set<string>()
  /** The clock of the server is ahead by so much. */
  clockAheadMs = 0
  /** Whether conditional writes are known. */
  knowsConditions = true
  /** How many keys a page of a listing has. */
  pageSize = 1000
  readonly #server: Server
  readonly #answers = new Set<Promise<void>>()
  readonly bucket: string

  private constructor(bucket: string, objects: Objects) {
    this.bucket = bucket
    this.objects = objects
    this.#server = createServer((request, response) => {
      const answer = this.#answer(request, response)
        .catch(() => void response.destroy())
        .finally(() => this.#answers.delete(answer))
      this.#answers.add(answer)
    })
    // It is also the proxy through which any host leads to it, so that the bucket can be a part of the host.
    this.#server.on('connect', (_, socket: Socket) => {
      socket.write('HTTP/1.1 200 Connected\r\n\r\n')
      this.#server.emit('connection', socket)
    })
  }

  /** `objects`: those of another server, which then serves the same bucket. */
  static async start(
    bucket = 'images',
    { host = '127.0.0.1', port = 0, objects = new Objects() } = {},
  ): Promise<FakeS3> {
    const fake = new FakeS3(bucket, objects)
    fake.#server.listen(port, host)
    await once(fake.#server, 'listening')
    return fake
  }

  get endpoint(): string {
    const { address, port } = this.#server.address() as AddressInfo
    return `http://${address}:${port}`
  }

  /** Changes nothing any more once it has resolved. */
  async close(): Promise<void> {
    this.#server.close()
    this.#server.closeAllConnections()
    await once(this.#server, 'close')
    await Promise.all(this.#answers)
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', this.endpoint)
    const { method = 'GET', headers } = request
    const isInHost = headers.host?.startsWith(`${this.bucket}.`) === true
    const path = `${isInHost ? `/${this.bucket}` : ''}${decodeURIComponent(url.pathname)}`
    const [, bucket, ...rest] = path.split('/')
    const recorded: S3Request = { method, key: rest.join('/'), query: url.search, headers, sent: 0 }
    this.requests.push(recorded)
    const body = await readBody(request)
    const fault = this.faultOf(recorded)
    if (fault?.kind === 'silent') return
    const isRightBucket = bucket === this.bucket
    const reply =
      fault?.kind === 'error'
        ? failed(fault.status, fault.code)
        : fault?.kind === 'text'
          ? xml(fault.text)
          : ((isRightBucket ? this.#refusal(recorded, body) : failed(404, 'NoSuchBucket')) ??
            this.#reply(recorded, url.searchParams, body))
    response.writeHead(reply.status, {
      date: new Date(Date.now() + this.clockAheadMs).toUTCString(),
      'content-length': reply.body.length,
      ...reply.headers,
    })
    const isCut = fault?.kind === 'stall' || fault?.kind === 'cut'
    const sent = method === 'HEAD' ? NOTHING : isCut ? reply.body.subarray(0, fault.after) : reply.body
    recorded.sent = sent.length
    if (fault?.kind === 'stall') response.write(sent)
    else if (fault?.kind === 'cut') response.write(sent, () => response.destroy())
    else response.end(sent)
  }

  /** What the server refuses before it looks at the object. */
  #refusal({ key, headers }: S3Request, body: Buffer): Reply | undefined {
    if (Math.abs(this.clockAheadMs) > 15 * 60_000) return failed(403, 'RequestTimeTooSkewed')
    const accessKey = /Credential=([^/]+)/.exec(headers.authorization ?? '')?.[1]
    if (accessKey !== undefined && this.expiredKeys.has(accessKey)) return failed(400, 'ExpiredToken')
    const declared = headers['x-amz-content-sha256']
    // A request without credentials declares none.
    const isUnchecked = declared === undefined || declared === 'UNSIGNED-PAYLOAD'
    if (body.length > 0 && !isUnchecked && declared !== sha256Of(body)) {
      return failed(400, 'XAmzContentSHA256Mismatch')
    }
    const wanted = headers['if-match']
    if (headers['if-none-match'] !== '*' && wanted === undefined) return undefined
    if (!this.knowsConditions) return failed(501, 'NotImplemented')
    const found = this.objects.get(key)
    if (wanted !== undefined && found === undefined) return failed(404, 'NoSuchKey')
    return found?.etag === wanted ? undefined : failed(412, 'PreconditionFailed')
  }

  #reply(request: S3Request, query: URLSearchParams, body: Buffer): Reply {
    const { method, key } = request
    if (key === '') {
      return query.has('uploads')
        ? xml(answerUploads(this.objects.uploads(), query))
        : xml(answerList(this.objects, query, this.pageSize))
    }
    if (query.has('uploadId')) {
      const upload = this.objects.upload(query.get('uploadId'))
      return upload === undefined
        ? failed(404, 'NoSuchUpload')
        : this.#replyUpload(method, query, upload, body)
    }
    if (method === 'POST') {
      const { id } = this.objects.start(key)
      return xml(`<InitiateMultipartUploadResult><UploadId>${id}</UploadId></InitiateMultipartUploadResult>`)
    }
    if (method === 'DELETE') {
      this.objects.delete(key)
      return { ...xml(''), status: 204 }
    }
    return method === 'PUT' ? this.#put(request, body) : this.#get(request)
  }

  #replyUpload(method: string, query: URLSearchParams, upload: PendingUpload, body: Buffer): Reply {
    if (method === 'GET') return xml(answerParts(upload))
    if (method === 'PUT') {
      const etag = this.objects.putPart(upload, Number(query.get('partNumber')), body)
      return { ...xml(''), headers: { etag } }
    }
    if (method === 'DELETE') this.objects.abort(upload)
    else this.objects.complete(upload)
    return method === 'DELETE' ? { ...xml(''), status: 204 } : xml('<CompleteMultipartUploadResult/>')
  }

  #put({ key, headers }: S3Request, body: Buffer): Reply {
    const from = headers['x-amz-copy-source']
    const [, bucket, ...path] = decodeURIComponent(String(from ?? '')).split('/')
    if (from !== undefined && bucket !== this.bucket) return failed(403, 'AccessDenied')
    const copied = path.join('/')
    const bytes = from === undefined ? body : this.objects.get(copied)?.bytes
    if (bytes === undefined) return failed(404, 'NoSuchKey')
    return { ...xml(''), headers: { etag: this.objects.put(key, bytes).etag } }
  }

  #get({ key, headers: { range } }: S3Request): Reply {
    const object = this.objects.get(key)
    if (object === undefined) return failed(404, 'NoSuchKey')
    const { bytes, etag, modifiedAt } = object
    const headers = { etag, 'last-modified': new Date(modifiedAt).toUTCString() }
    const [, first, last] = /^bytes=(\d+)-(\d*)$/.exec(range ?? '') ?? []
    if (first === undefined)
      return { status: 200, headers: { ...headers, 'content-length': String(bytes.length) }, body: bytes }
    const start = Number(first)
    if (start >= bytes.length) return failed(416, 'InvalidRange')
    const end = last ? Math.min(Number(last) + 1, bytes.length) : bytes.length
    const contentRange = { 'content-range': `bytes ${start}-${end - 1}/${bytes.length}` }
    return { status: 206, headers: { ...headers, ...contentRange }, body: bytes.subarray(start, end) }
  }
}

interface Reply {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
}

const NOTHING = Buffer.alloc(0)

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk)
  return Buffer.concat(chunks)
}

function sha256Of(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}

function xml(text: string): Reply {
  return { status: 200, headers: { 'content-type': 'application/xml' }, body: Buffer.from(text) }
}

function failed(status: number, code: string): Reply {
  return { ...xml(`<?xml version="1.0"?><Error><Code>${code}</Code></Error>`), status }
}
