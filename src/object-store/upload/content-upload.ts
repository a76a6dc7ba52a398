import { createHash } from 'node:crypto'
import type { RateLimiter } from '../../lib/async/rate-limiter.ts'
import { Semaphore } from '../../lib/async/semaphore.ts'
import { algorithmOf, type Digest, digestFrom } from '../../oci/digest.ts'
import type { Content } from '../../ports/content.ts'
import { Failure } from '../../ports/failure.ts'
import type { Bucket } from '../client/bucket.ts'
import { MultipartUploads, type StartedUpload, type UploadedPart } from '../client/multipart.ts'
import { md5Etag, sha256Of, updateHashes } from './part-hashes.ts'

/** A content of more than this is uploaded in parts of this size. */
const PART_BYTES = 8 * 1024 * 1024
/** No server takes more parts. */
const MAX_PARTS = 10_000
const SMALL_BYTES = 256 * 1024

type Options = { readonly signal: AbortSignal }

/** What is uploaded. It is read once, from its beginning to its end. */
export type UploadBytes = Pick<Content, 'digest' | 'size' | 'readable' | 'read'>

export interface ContentUploadOptions {
  readonly bucket: Bucket
  readonly rate: RateLimiter
  /** Default: `PART_BYTES`. */
  readonly partBytes?: number
}

/** Uploads the bytes of stored contents. Nothing but a whole object with the right digest is ever under its final key. */
export class ContentUpload {
  readonly #bucket: Bucket
  readonly #uploads: MultipartUploads
  readonly #rate: RateLimiter
  readonly #partBytes: number
  /** One larger content is uploaded at a time, because each needs the memory of a part. */
  readonly #memory = new Semaphore(1)

  constructor({ bucket, rate, partBytes = PART_BYTES }: ContentUploadOptions) {
    this.#bucket = bucket
    this.#uploads = new MultipartUploads(bucket)
    this.#rate = rate
    this.#partBytes = partBytes
  }

  /** Gives how many bytes were sent: none when the object is there. `replace`: the object that is there is wrong. */
  async send(
    key: string,
    content: UploadBytes,
    { replace, signal }: Options & { replace: boolean },
  ): Promise<number> {
    const { size } = content
    const known = replace ? undefined : await this.#bucket.head(key, { signal })
    if (known?.size === size) return 0
    const isReplaced = replace || known !== undefined
    if (size <= SMALL_BYTES) return this.#sendWhole(key, content, { replace: isReplaced, signal })
    return this.#memory.use(signal, () =>
      size <= this.#partBytes
        ? this.#sendWhole(key, content, { replace: isReplaced, signal })
        : this.#sendParts(key, content, { replace: isReplaced, signal }).catch((error: unknown) =>
            this.#assertSentElsewhere(error, key, content, { replace, signal }),
          ),
    )
  }

  async #sendWhole(
    key: string,
    content: UploadBytes,
    { replace, signal }: Options & { replace: boolean },
  ): Promise<number> {
    const bytes = Buffer.allocUnsafeSlow(content.size)
    await readPart(content, bytes, 0, { signal })
    const hash = createHash(algorithmOf(content.digest))
    await updateHashes([hash], bytes)
    assertDigest(content.digest, hash.digest('hex'))
    await this.#awaitRate(bytes.length, { signal })
    await this.#bucket.put(key, bytes, { sha256: await sha256Of(bytes), replace, signal })
    return bytes.length
  }

  async #sendParts(
    key: string,
    content: UploadBytes,
    { replace, signal }: Options & { replace: boolean },
  ): Promise<number> {
    const { size, digest } = content
    const count = Math.ceil(size / this.#partBytes)
    if (count > MAX_PARTS) throw new Failure('too-large', `${digest} is too large for an object store.`)
    const { upload, arrived } = await this.#startOrContinue(key, { signal })
    const memory = Buffer.allocUnsafeSlow(this.#partBytes)
    const hash = createHash(algorithmOf(digest))
    const parts: UploadedPart[] = []
    let sent = 0
    for (let number = 1; number <= count; number += 1) {
      const start = (number - 1) * this.#partBytes
      const bytes = memory.subarray(0, Math.min(this.#partBytes, size - start))
      await readPart(content, bytes, start, { signal })
      await updateHashes([hash], bytes)
      const known = arrived.get(number)
      if (known?.size === bytes.length && known.etag === (await md5Etag(bytes))) {
        parts.push(known)
        continue
      }
      await this.#awaitRate(bytes.length, { signal })
      parts.push(
        await this.#uploads.putPart(upload, number, bytes, { sha256: await sha256Of(bytes), signal }),
      )
      sent += bytes.length
    }
    try {
      assertDigest(digest, hash.digest('hex'))
    } catch (error) {
      await this.#uploads.abort(upload, { signal })
      throw error
    }
    const isCompleted = await this.#uploads.complete(upload, parts, { replace, signal })
    // Another node was faster.
    if (!isCompleted) await this.#uploads.abort(upload, { signal })
    return sent
  }

  /**
   * Another process that continues the same upload may complete it at any time: then nothing is left to send. It may also abort
   * it: then the next attempt begins a new upload.
   */
  async #assertSentElsewhere(
    error: unknown,
    key: string,
    { size, digest }: UploadBytes,
    { replace, signal }: Options & { replace: boolean },
  ): Promise<number> {
    const source = this.#bucket.name
    const isGone = error instanceof Failure && error.code === 'absent' && error.details.source === source
    if (!isGone) throw error
    if (!replace && (await this.#bucket.head(key, { signal }))?.size === size) return 0
    const message = `${source}: another process has ended the upload of ${digest}.`
    throw new Failure('unavailable', message, { source, cause: error })
  }

  /** Continues the last upload of the key that was not completed, by this node or another one. */
  async #startOrContinue(
    key: string,
    options: Options,
  ): Promise<{ upload: Pick<StartedUpload, 'key' | 'id'>; arrived: ReadonlyMap<number, UploadedPart> }> {
    let last: StartedUpload | undefined
    for await (const upload of this.#uploads.list(key, options)) {
      if (upload.key === key && (last === undefined || upload.startedAt >= last.startedAt)) last = upload
    }
    const parts = last && (await this.#uploads.parts(last, options))
    if (last !== undefined && parts !== undefined) {
      return { upload: last, arrived: new Map(parts.map((part) => [part.number, part])) }
    }
    return { upload: { key, id: await this.#uploads.start(key, options) }, arrived: new Map() }
  }

  async #awaitRate(bytes: number, options: Options): Promise<void> {
    for (let left = bytes; left > 0; left -= this.#rate.quantumBytes) {
      await this.#rate.take(Math.min(left, this.#rate.quantumBytes), options)
    }
  }
}

async function readPart(
  content: UploadBytes,
  target: Uint8Array,
  start: number,
  options: Options,
): Promise<void> {
  for (let done = 0; done < target.length; ) {
    options.signal.throwIfAborted()
    await content.readable(start + done, options)
    const count = await content.read(target.subarray(done), start + done)
    if (count === 0) throw new Error(`${content.digest} ends too early.`)
    done += count
  }
}

function assertDigest(digest: Digest, hex: string): void {
  const found = digestFrom(algorithmOf(digest), hex)
  if (found !== digest) throw new Failure('corrupt', `The stored ${digest} is ${found}, and is not uploaded.`)
}
