import { chmod, lstat, rename } from 'node:fs/promises'
import type { LanePool } from '../../lanes/lane-pool.ts'
import { onAbort } from '../../lib/async/abort.ts'
import { errorCode } from '../../lib/error-code.ts'
import { publish } from '../../observe/events.ts'
import type { Digest } from '../../oci/digest.ts'
import type { FileToAdopt } from '../../ports/content-receiver.ts'
import { Failure } from '../../ports/failure.ts'
import { diskFailure, FILE_MODE, READ_PLAIN_FILE } from '../files/layout.ts'
import { OpenFile } from '../files/open-file.ts'
import type { PublishAs } from './publish-as.ts'
import type { StoreParts } from './store-parts.ts'

/** Errors of a file that can be copied although it cannot be moved. */
const UNMOVABLE = ['EXDEV', 'EPERM', 'EACCES', 'EROFS', 'ENOENT', 'ELOOP', 'EBUSY']

/**
 * Moves a file of another program into the store: hashes it where it is, and then only renames it. False: the file cannot be
 * moved, because it is on another filesystem, belongs to another user, or has a second name; or the agent does not see it.
 * Rejects with a `Failure` if its content is another one; the file stays then.
 */
export async function adoptFile(
  file: FileToAdopt,
  parts: StoreParts,
  claim: PublishAs,
  { signal }: { signal: AbortSignal },
): Promise<boolean> {
  try {
    return await adopt(file, parts, claim, signal)
  } catch (cause) {
    signal.throwIfAborted()
    if (UNMOVABLE.includes(errorCode(cause) ?? '')) return false
    throw diskFailure(`cannot move ${file.path} into the store`, cause)
  }
}

async function adopt(
  { path, digest, origin, repository }: FileToAdopt,
  { index, blobFiles, budget, lanes }: StoreParts,
  claim: PublishAs,
  signal: AbortSignal,
): Promise<boolean> {
  const file = await OpenFile.open(path, READ_PLAIN_FILE)
  try {
    const before = await file.stat()
    // What has a second name can still be changed under that one.
    if (!before.isFile() || before.nlink > 1) return false
    const { size } = before
    const reservation = await budget.reserve(digest, size)
    if (reservation === undefined) throw new Failure('disk', `there is no room for ${size} bytes`)
    try {
      const found = await hashOf(file, digest, size, lanes, signal)
      if (found !== digest) throw wrongContent(path, digest, found)
      await chmod(path, FILE_MODE)
      await file.sync()
      const endClaim = await claim(digest)
      try {
        const known = await index.get(digest)
        if (known === undefined || known.isInline) await blobFiles.put(digest, path)
        const after = await lstat(blobFiles.path(digest))
        if (after.ino === before.ino && (after.size !== size || after.mtimeMs !== before.mtimeMs)) {
          await rename(blobFiles.path(digest), path)
          throw new Failure(
            'corrupt',
            `${path} was written while it was imported. Stop the program that does it.`,
          )
        }
        await index.put(
          { digest, size, kind: 'blob', mediaType: undefined, origin, storedAt: Date.now() },
          { references: [], subject: undefined, repository },
        )
      } finally {
        endClaim()
      }
      publish('store.committed', { digest, size })
      return true
    } finally {
      reservation.release()
    }
  } finally {
    await file.close()
  }
}

/** Hashes a file in a lane: it may be large, and the main thread serves clients. */
export async function hashOf(
  file: OpenFile,
  wanted: Digest,
  size: number,
  lanes: LanePool,
  signal: AbortSignal,
): Promise<Digest> {
  signal.throwIfAborted()
  const hashing = lanes.open(file.fd, wanted, size, { written: () => {}, failed: () => {} })
  const stop = onAbort(signal, () => void hashing.end())
  try {
    return await hashing.digest()
  } finally {
    stop()
    await hashing.end()
  }
}

function wrongContent(path: string, expected: Digest, found: Digest): Failure {
  return new Failure('corrupt', `${path} is not ${expected}: its digest is ${found}.`, {
    source: path,
    expected,
    found,
  })
}
