import { createHash } from 'node:crypto'
import { CHECKPOINT_BYTES, CHECKPOINT_INTERVAL_BYTES } from '../../src/oci/checkpoints.ts'
import { type Digest, parseDigest } from '../../src/oci/digest.ts'

export function digestOf(bytes: Uint8Array, algorithm: 'sha256' | 'sha512' = 'sha256'): Digest {
  const digest = parseDigest(`${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}`)
  if (digest === undefined) throw new Error('unreachable: a hash is a digest')
  return digest
}

/** Gives all checkpoints of these bytes. */
export function checkpointsOf(bytes: Uint8Array, algorithm: 'sha256' | 'sha512' = 'sha256'): Uint8Array {
  const count = Math.floor(bytes.length / CHECKPOINT_INTERVAL_BYTES)
  const checkpoints = new Uint8Array(count * CHECKPOINT_BYTES)
  const hash = createHash(algorithm)
  for (let number = 0; number < count; number++) {
    const start = number * CHECKPOINT_INTERVAL_BYTES
    hash.update(bytes.subarray(start, start + CHECKPOINT_INTERVAL_BYTES))
    checkpoints.set(hash.copy().digest().subarray(0, CHECKPOINT_BYTES), number * CHECKPOINT_BYTES)
  }
  return checkpoints
}
