import { createHash } from 'node:crypto'
import { type Algorithm, algorithmOf, type Digest, digestFrom, digestOf } from '../../oci/digest.ts'
import { ExportError } from './export-error.ts'
import type { BlobPart } from './target.ts'

/** Passes the chunks on to `write` while it hashes them. Rejects when they are not the blob. */
export async function writeVerified(
  { digest, size }: BlobPart,
  chunks: AsyncIterable<Uint8Array>,
  write: (chunk: Uint8Array) => Promise<void>,
): Promise<void> {
  const algorithm = algorithmOf(digest)
  const hash = createHash(algorithm)
  let written = 0
  for await (const chunk of chunks) {
    written += chunk.length
    if (written > size) throw wrongSize(digest, `more than ${size}`, size)
    const writing = write(chunk)
    // The chunk is hashed while the disk takes it.
    hash.update(chunk)
    await writing
  }
  if (written !== size) throw wrongSize(digest, String(written), size)
  const found = digestFrom(algorithm, hash.digest('hex'))
  if (found !== digest) {
    throw new ExportError(
      `${digest} is damaged where it was read: its bytes have the digest ${found}; run agent verify if an agent serves it, or copy the image there again`,
    )
  }
}

export function digestOfBytes(bytes: Uint8Array, algorithm: Algorithm): Digest {
  return digestOf(bytes, algorithm)
}

function wrongSize(digest: Digest, found: string, size: number): ExportError {
  return new ExportError(
    `${digest} is damaged where it was read: it has ${found} bytes instead of ${size}; run agent verify if an agent serves it, or copy the image there again`,
  )
}
