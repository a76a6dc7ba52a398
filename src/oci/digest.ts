import { createHash } from 'node:crypto'

/** A content digest, `sha256:<64 hex>` or `sha512:<128 hex>`. Only `parseDigest` makes one. */
export type Digest = string & { readonly __digest: true }
export type Algorithm = 'sha256' | 'sha512'

const PATTERN = /^(?:sha256:[a-f0-9]{64}|sha512:[a-f0-9]{128})$/

export function parseDigest(text: string): Digest | undefined {
  return PATTERN.test(text) ? (text as Digest) : undefined
}

/** The digest of bytes that are in memory. */
export function digestOf(bytes: Uint8Array, algorithm: Algorithm = 'sha256'): Digest {
  return digestFrom(algorithm, createHash(algorithm).update(bytes).digest('hex'))
}

/** For the result of a hash, which is a digest always. */
export function digestFrom(algorithm: Algorithm, hex: string): Digest {
  const digest = parseDigest(`${algorithm}:${hex}`)
  if (digest === undefined) throw new Error(`${hex} is not the result of ${algorithm}.`)
  return digest
}

export function algorithmOf(digest: Digest): Algorithm {
  return digest.startsWith('sha512:') ? 'sha512' : 'sha256'
}

export function hexOf(digest: Digest): string {
  return digest.slice(digest.indexOf(':') + 1)
}
