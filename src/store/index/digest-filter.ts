import { type Digest, hexOf } from '../../oci/digest.ts'

/** 2^23 bits, 1 MiB: of a million digests that are not there, it takes about three in a hundred for known ones. */
const HEX_OF_BIT = 6
const BITS = 2 ** 23
const BITS_OF_DIGEST = 4

/**
 * A Bloom filter of digests: it knows of most digests that they were never added, and never says so of one that was. The bits of
 * a digest are taken from the digest itself.
 */
export class DigestFilter {
  readonly #bytes = new Uint8Array(BITS / 8)

  add(digest: Digest): void {
    for (const bit of bitsOf(digest)) this.#bytes[bit >> 3] = (this.#bytes[bit >> 3] ?? 0) | (1 << (bit & 7))
  }

  /** False: the digest was never added. */
  mayHave(digest: Digest): boolean {
    return bitsOf(digest).every((bit) => ((this.#bytes[bit >> 3] ?? 0) & (1 << (bit & 7))) !== 0)
  }
}

function bitsOf(digest: Digest): readonly number[] {
  const hex = hexOf(digest)
  const bits: number[] = []
  for (let at = 0; at < BITS_OF_DIGEST; at++) {
    bits.push(Number.parseInt(hex.slice(at * HEX_OF_BIT, (at + 1) * HEX_OF_BIT), 16) % BITS)
  }
  return bits
}
