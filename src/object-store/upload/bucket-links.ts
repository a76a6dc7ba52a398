import type { Digest } from '../../oci/digest.ts'
import { Failure } from '../../ports/failure.ts'
import type { Bucket } from '../client/bucket.ts'
import { sha256Of } from './part-hashes.ts'

/** A link is as old as the last answer of upstream that confirmed it, to within so much. */
export const RENEW_LINK_MS = 20 * 60 * 60 * 1000

/** A server copies no larger object in one request. */
const MAX_COPIED_BYTES = 5 * 1024 ** 3

type Options = { readonly signal: AbortSignal }

/**
 * Writes the objects that say what a repository has. What collects garbage looks at the age of an object just before it
 * removes it, so whoever comes to need an old one makes it young before.
 */
export class BucketLinks {
  readonly #bucket: Bucket

  constructor(bucket: Bucket) {
    this.#bucket = bucket
  }

  async write(key: string, digest: Digest, { signal }: Options): Promise<void> {
    const body = Buffer.from(digest)
    await this.#bucket.put(key, body, { sha256: await sha256Of(body), replace: true, signal })
  }

  /** Writes a link again that is old. False: there is none. */
  async makeYoung(key: string, digest: Digest, options: Options): Promise<boolean> {
    const known = await this.#bucket.head(key, options)
    if (known === undefined) return false
    if (!isYoung(known.modifiedAt)) await this.write(key, digest, options)
    return true
  }

  /**
   * Copies old bytes onto themselves, before the first link to them is written. False: there are none, or the server does not
   * allow the copy, and whoever is to link them sends them (again).
   */
  async makeBytesYoung(key: string, options: Options): Promise<boolean> {
    const known = await this.#bucket.head(key, options)
    if (known === undefined) return false
    if (isYoung(known.modifiedAt)) return true
    try {
      await this.#bucket.refresh(key, options)
    } catch (error) {
      if (!(error instanceof Failure)) throw error
      const { status = 0 } = error.details
      // Servers refuse to copy an object of more than 5 GiB. It is still the right one.
      if (known.size > MAX_COPIED_BYTES && [400, 413].includes(status)) return true
      // A policy may allow PutObject without CopyObject, which some servers do not have at all.
      const isRefused = error.code === 'absent' || error.code === 'denied' || status === 501
      if (!isRefused) throw error
      return false
    }
    return true
  }
}

function isYoung(modifiedAt: number): boolean {
  return Date.now() - modifiedAt < RENEW_LINK_MS
}
