import { type FileHandle, open } from 'node:fs/promises'
import { Semaphore } from '../../lib/async/semaphore.ts'
import { SharedWork } from '../../lib/async/shared-work.ts'
import { BoundedMap } from '../../lib/bounded-map.ts'
import { FileHasher } from '../../lib/hashing/file-hasher.ts'
import { publish } from '../../observe/events.ts'
import { algorithmOf, type Digest, digestFrom, digestOf } from '../../oci/digest.ts'
import { Failure } from '../../ports/failure.ts'
import { type FileRange, readRange } from './file-tree.ts'

/** A small file is hashed here: a manifest must not wait until a layer of gigabytes is hashed. */
const SMALL_BYTES = 1024 * 1024
/** Between two pieces the thread can be stopped. */
const PIECE_BYTES = 4 * 1024 * 1024
/** A result is forgotten when so many others are newer; the file is hashed again then. */
const MOST_RESULTS = 50_000

/** Says whether files may be given out. */
export interface FileCheck {
  /** Whether this file has this digest; undefined: it was not hashed. */
  known(range: FileRange, digest: Digest): boolean | undefined
  /** Rejects with a `Failure` that names the file when it has other bytes. */
  verify(range: FileRange, digest: Digest): Promise<void>
}

/** For a reader that hashes all bytes itself. */
export const UNCHECKED: FileCheck = { known: () => true, verify: async () => {} }

/** Hashes files of other programs before they are served whole, each once as long as it is not written again. */
export class FileVerifier implements FileCheck {
  readonly #hasher = new FileHasher()
  readonly #oneByOne = new Semaphore(1)
  readonly #work = new SharedWork<Digest>()
  readonly #digests = new BoundedMap<string, Digest>(MOST_RESULTS)
  readonly #closing = new AbortController()

  known(range: FileRange, digest: Digest): boolean | undefined {
    const found = this.#digests.get(keyOf(range, digest))
    return found === undefined ? undefined : found === digest
  }

  async verify(range: FileRange, digest: Digest): Promise<void> {
    const key = keyOf(range, digest)
    const found =
      this.#digests.get(key) ?? (await this.#work.run(key, () => this.#hash(range, digest, key)).promise)
    if (found !== digest) throw wrongFile(range, digest, found)
  }

  async close(): Promise<void> {
    this.#closing.abort(new Failure('stopping', 'The agent is shutting down.'))
    await this.#hasher.stop()
  }

  async #hash(range: FileRange, digest: Digest, key: string): Promise<Digest> {
    const found =
      range.size <= SMALL_BYTES
        ? digestOf(await readRange(range, SMALL_BYTES), algorithmOf(digest))
        : await this.#oneByOne.use(this.#closing.signal, () => this.#hashLarge(range, digest))
    this.#digests.set(key, found)
    if (found !== digest) {
      publish('verify.failed', { digest, found, source: range.path, sourceKind: 'disk' })
    }
    return found
  }

  async #hashLarge(range: FileRange, digest: Digest): Promise<Digest> {
    const file = await open(range.path)
    try {
      return await this.#hashFile(file, range, digest)
    } finally {
      await file.close()
    }
  }

  async #hashFile(file: FileHandle, { path, start, size }: FileRange, digest: Digest): Promise<Digest> {
    const algorithm = algorithmOf(digest)
    for (let done = 0; ; ) {
      this.#closing.signal.throwIfAborted()
      const length = Math.min(PIECE_BYTES, size - done)
      const isLast = done + length === size
      const request = { fd: file.fd, algorithm, position: start + done, length, isFirst: done === 0, isLast }
      const answer = await this.#hasher.hash(request)
      if (answer.is === 'digest') return digestFrom(algorithm, answer.hex)
      if (answer.is === 'short') throw new Failure('unavailable', `${path} has become shorter.`)
      if (answer.is === 'failed')
        throw new Failure('unavailable', `${path} cannot be read: ${answer.message}.`)
      done += length
    }
  }
}

export function wrongFile({ path }: FileRange, digest: Digest, found: Digest): Failure {
  return new Failure('corrupt', `${path} is not ${digest}: its digest is ${found}. Copy the image again.`, {
    source: path,
    expected: digest,
    found,
  })
}

function keyOf({ path, start, version }: FileRange, digest: Digest): string {
  return `${algorithmOf(digest)} ${path}:${start} ${version}`
}
