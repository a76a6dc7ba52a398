import type { Digest } from '../../oci/digest.ts'
import { Failure } from '../../ports/failure.ts'
import type { Bucket } from '../client/bucket.ts'
import { sha256Of } from './part-hashes.ts'

/** The age of a link is that of the last pull, or of the last answer of upstream, to within so much. */
export const RENEW_LINK_MS = 20 * 60 * 60 * 1000

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

  /** Copies old bytes onto themselves, before the first link to them is written. */
  async makeBytesYoung(key: string, options: Options): Promise<void> {
    const known = await this.#bucket.head(key, options)
    if (known === undefined || isYoung(known.modifiedAt)) return
    await this.#bucket.refresh(key, options).catch((error: unknown) => {
      // Servers refuse to copy an object of more than 5 GiB. It is still the right one.
      if (!(error instanceof Failure) || error.code !== 'denied') throw error
    })
  }
}

function isYoung(modifiedAt: number): boolean {
  return Date.now() - modifiedAt < RENEW_LINK_MS
}
