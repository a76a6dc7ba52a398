import { createHash, type Hash } from 'node:crypto'

/** The main thread hashes so much at a time, which takes about a millisecond, and answers clients in between. */
const SLICE_BYTES = 512 * 1024

/** Adds bytes to hashes, slice by slice. */
export async function updateHashes(hashes: readonly Hash[], bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length; at += SLICE_BYTES) {
    const slice = bytes.subarray(at, at + SLICE_BYTES)
    for (const hash of hashes) hash.update(slice)
    if (at + SLICE_BYTES < bytes.length) await new Promise<void>((resolve) => setImmediate(resolve))
  }
}

/** The SHA-256 of bytes in hex, which the thread pool computes. */
export async function sha256Of(bytes: Uint8Array): Promise<string> {
  return Buffer.from(await crypto.subtle.digest('SHA-256', bytes)).toString('hex')
}

/** The MD5 of bytes as the ETag of a part. */
export async function md5Etag(bytes: Uint8Array): Promise<string> {
  const hash = createHash('md5')
  await updateHashes([hash], bytes)
  return `"${hash.digest('hex')}"`
}
