import { BoundedMap } from '../../lib/bounded-map.ts'
import type { HttpHeaders } from '../../lib/http1/headers.ts'
import type { Digest } from '../../oci/digest.ts'

/** Bounds the validators of one host. Only a content whose attempt broke off, or of which a range is read, needs one again. */
const MOST_VALIDATORS = 256
const MOST_LENGTH = 256

/** What the answers of one host have said about the version of contents, for requests that continue them. */
export class Validators {
  readonly #known = new BoundedMap<Digest, string>(MOST_VALIDATORS)

  /** The value for `If-Range`. A weak ETag does not promise the same bytes and is not permitted there (RFC 9110, 13.1.5). */
  ifRange(digest: Digest): string | undefined {
    const known = this.#known.get(digest)
    return known !== undefined && /^"[\x21\x23-\x7e]*"$/.test(known) ? known : undefined
  }

  remember(digest: Digest, headers: HttpHeaders): void {
    const found = validatorOf(headers)
    if (found === undefined) this.#known.delete(digest)
    else this.#known.set(digest, found)
  }

  /** Whether an answer may be of the same version as the one that is remembered. */
  isSame(digest: Digest, headers: HttpHeaders): boolean {
    const known = this.#known.get(digest)
    const found = validatorOf(headers)
    return known === undefined || found === undefined || known === found
  }
}

function validatorOf(headers: HttpHeaders): string | undefined {
  const found = headers.get('etag') ?? headers.get('last-modified')
  return found === undefined || found.length > MOST_LENGTH ? undefined : found
}
