import { Deferred } from '../../lib/async/deferred.ts'
import type { Algorithm, Digest } from '../../oci/digest.ts'
import { childrenOf, type Manifest } from '../../oci/manifest.ts'
import type { Repository } from '../../oci/names/repository.ts'
import type { Incoming } from '../../ports/blob-store.ts'
import type { ContentReceiver } from '../../ports/content-receiver.ts'
import { Failure } from '../../ports/failure.ts'

/** Fills some of `target` with the next bytes and gives how many; 0 at the end. */
export type ReadBytes = (target: Uint8Array) => Promise<number>

/** What was stored, or only hashed. */
export interface WrittenContent {
  readonly digest: Digest
  readonly size: number
}

/** Writes contents into the store, each under the digest of its bytes. */
export class ContentWriter {
  readonly #receiver: ContentReceiver
  readonly #repository: Repository
  readonly #origin: string

  /** `origin`: who brings the contents, as reports show it. */
  constructor(receiver: ContentReceiver, repository: Repository, origin: string) {
    this.#receiver = receiver
    this.#repository = repository
    this.#origin = origin
  }

  /** Stores what `read` gives if `isWanted` says so of its digest. `most`: an upper bound of the size. */
  async writeBlob(
    read: ReadBytes,
    most: number,
    isWanted: (digest: Digest) => boolean = () => true,
    algorithm: Algorithm = 'sha256',
  ): Promise<WrittenContent> {
    return this.#receive('blob', algorithm, async (incoming) => {
      if (!(await incoming.reserve(most))) throw noRoom(incoming)
      await pour(read, incoming)
      const digest = await incoming.digest()
      if (isWanted(digest)) await this.#commit(incoming, {})
      return { digest, size: incoming.position }
    })
  }

  async writeManifest(
    bytes: Uint8Array,
    mediaType: string,
    manifest: Manifest,
    isWanted: (digest: Digest) => boolean = () => true,
    algorithm: Algorithm = 'sha256',
  ): Promise<WrittenContent> {
    return this.#receive('manifest', algorithm, async (incoming) => {
      if (!(await incoming.reserve(bytes.length))) throw noRoom(incoming)
      let at = 0
      await pour(async (target) => {
        const count = Math.min(target.length, bytes.length - at)
        target.set(bytes.subarray(at, at + count))
        at += count
        return count
      }, incoming)
      const digest = await incoming.digest()
      if (isWanted(digest)) await this.#commit(incoming, { mediaType, manifest })
      return { digest, size: bytes.length }
    })
  }

  async #receive(
    kind: 'manifest' | 'blob',
    algorithm: Algorithm,
    work: (incoming: Incoming) => Promise<WrittenContent>,
  ): Promise<WrittenContent> {
    const incoming = await this.#receiver.receive({ kind, repository: this.#repository, algorithm })
    try {
      return await work(incoming)
    } finally {
      await incoming.close()
    }
  }

  async #commit(
    incoming: Incoming,
    { mediaType, manifest }: { readonly mediaType?: string; readonly manifest?: Manifest },
  ): Promise<void> {
    const isStored = await incoming.commit({
      mediaType,
      origin: this.#origin,
      references: manifest === undefined ? [] : childrenOf(manifest).map(({ digest }) => digest),
      subject: manifest?.subject?.digest,
    })
    if (!isStored) throw noRoom(incoming)
  }
}

/** Rejects when the content cannot be stored any more: without readers its window would never become free. */
async function pour(read: ReadBytes, incoming: Incoming): Promise<void> {
  const failed = new Deferred<never>()
  failed.promise.catch(() => {})
  incoming.onProgress((failure) => {
    if (failure !== undefined) failed.reject(failure)
    else if (!incoming.isStorable) failed.reject(noRoom(incoming))
  })
  for (;;) {
    const count = await read(incoming.buffer())
    if (count === 0) return
    if (!incoming.filled(count)) await Promise.race([incoming.drained(), failed.promise])
    if (!incoming.isStorable) throw noRoom(incoming)
  }
}

function noRoom(incoming: Incoming): Failure {
  const reason = incoming.passThroughReason
  return reason ?? new Failure('disk', 'The store has no room for the content. Raise --max-bytes.')
}
