import type { Digest } from '../../oci/digest.ts'

/**
 * For a content whose digest was not known at its beginning: claims the digest that was found, so that the store drops
 * nothing under it meanwhile. The caller ends the claim when the content is published.
 */
export type PublishAs = (found: Digest) => Promise<() => void>
