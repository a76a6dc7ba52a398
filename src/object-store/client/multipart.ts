import { createHash } from 'node:crypto'
import { Failure } from '../../ports/failure.ts'
import { elementsOf, escapeXml, textOf } from '../format/xml.ts'
import type { Bucket } from './bucket.ts'

export interface UploadedPart {
  readonly number: number
  readonly etag: string
  readonly size: number
}

export interface StartedUpload {
  readonly key: string
  readonly id: string
  /** Milliseconds since the epoch. */
  readonly startedAt: number
}

type Options = { readonly signal: AbortSignal }

const PART_LIST_LIMIT = 10_000

/** Uploads in parts: nothing is under the final key before `complete`. */
export class MultipartUploads {
  readonly #bucket: Bucket

  constructor(bucket: Bucket) {
    this.#bucket = bucket
  }

  /** Gives the id of a new upload. */
  async start(key: string, { signal }: Options): Promise<string> {
    const headers = { ...this.#bucket.encryption, 'content-type': 'application/octet-stream' }
    const request = { method: 'POST', key, query: { uploads: '' }, headers } as const
    const { text } = await this.#bucket.requests.send(request, { signal })
    const id = textOf(text, 'UploadId')
    if (id === undefined) throw this.#unexpected('names no id of an upload')
    return id
  }

  /** Sends one part. `sha256` is that of its bytes, in hex: the server verifies it. */
  async putPart(
    { key, id }: Pick<StartedUpload, 'key' | 'id'>,
    number: number,
    bytes: Uint8Array,
    { sha256, signal }: { sha256: string } & Options,
  ): Promise<UploadedPart> {
    const query = { partNumber: String(number), uploadId: id }
    const request = { method: 'PUT', key, query, body: bytes, payloadHash: sha256 } as const
    const { headers } = await this.#bucket.requests.send(request, { signal })
    const etag = headers.get('etag')
    if (etag === undefined) throw this.#unexpected('names no ETag of a part')
    return { number, etag, size: bytes.length }
  }

  /** Lists the parts that have arrived; undefined when the upload does not exist any more. */
  async parts(
    { key, id }: Pick<StartedUpload, 'key' | 'id'>,
    { signal }: Options,
  ): Promise<readonly UploadedPart[] | undefined> {
    const parts: UploadedPart[] = []
    let marker: string | undefined
    do {
      const query = { uploadId: id, ...(marker === undefined ? {} : { 'part-number-marker': marker }) }
      const request = { method: 'GET', key, query, expected: [404] } as const
      const { status, text } = await this.#bucket.requests.send(request, { signal })
      if (status === 404) return undefined
      for (const element of elementsOf(text, 'Part')) {
        const etag = textOf(element, 'ETag')
        const number = Number(textOf(element, 'PartNumber'))
        if (etag !== undefined) parts.push({ number, etag, size: Number(textOf(element, 'Size')) })
      }
      marker = textOf(text, 'IsTruncated') === 'true' ? textOf(text, 'NextPartNumberMarker') : undefined
    } while (marker !== undefined && parts.length < PART_LIST_LIMIT)
    return parts
  }

  /** Makes the parts one object. Gives false when there is one already. */
  async complete(
    { key, id }: Pick<StartedUpload, 'key' | 'id'>,
    parts: readonly UploadedPart[],
    { replace = false, signal }: { replace?: boolean } & Options,
  ): Promise<boolean> {
    const xml = parts
      .map(
        ({ number, etag }) =>
          `<Part><PartNumber>${number}</PartNumber><ETag>${escapeXml(etag)}</ETag></Part>`,
      )
      .join('')
    const body = `<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${xml}</CompleteMultipartUpload>`
    const payloadHash = createHash('sha256').update(body).digest('hex')
    const { status, text } = await this.#bucket.conditionally('complete', replace, (condition) => {
      const headers = { ...condition, 'content-type': 'application/xml' }
      const request = { method: 'POST', key, query: { uploadId: id }, headers, body, payloadHash } as const
      return this.#bucket.requests.send({ ...request, expected: [409, 412, 501] }, { signal })
    })
    if (status !== 200) return false
    // The server may answer 200 before it knows that the completion fails.
    const code = textOf(text, 'Code')
    if (code !== undefined) throw this.#unexpected(`could not complete an upload: ${code}`)
    return true
  }

  async abort({ key, id }: Pick<StartedUpload, 'key' | 'id'>, { signal }: Options): Promise<void> {
    const request = { method: 'DELETE', key, query: { uploadId: id }, expected: [404] } as const
    await this.#bucket.requests.send(request, { signal })
  }

  /** Lists uploads that were begun and not completed, of keys that begin with `prefix`. */
  async *list(prefix: string, { signal }: Options): AsyncGenerator<StartedUpload> {
    const { prefix: base } = this.#bucket.requests.bucketOptions
    const below = base === '' ? '' : `${base}/`
    let markers: Record<string, string> | undefined = {}
    while (markers !== undefined) {
      const query = { uploads: '', prefix: `${below}${prefix}`, ...markers }
      const { text } = await this.#bucket.requests.send({ method: 'GET', key: '', query }, { signal })
      for (const element of elementsOf(text, 'Upload')) {
        const key = textOf(element, 'Key')
        const id = textOf(element, 'UploadId')
        const startedAt = Date.parse(textOf(element, 'Initiated') ?? '')
        if (key?.startsWith(below) && id !== undefined) yield { key: key.slice(below.length), id, startedAt }
      }
      const key = textOf(text, 'NextKeyMarker')
      const id = textOf(text, 'NextUploadIdMarker')
      const hasMore = textOf(text, 'IsTruncated') === 'true' && key !== undefined
      markers = hasMore
        ? { 'key-marker': key, ...(id === undefined ? {} : { 'upload-id-marker': id }) }
        : undefined
    }
  }

  #unexpected(what: string): Failure {
    const source = this.#bucket.name
    return new Failure('unavailable', `${source} ${what}.`, { source })
  }
}
