import { Semaphore } from '../../lib/async/semaphore.ts'
import type { Digest } from '../../oci/digest.ts'
import { MAX_MANIFEST_BYTES, manifestTypeOf, parseManifest } from '../../oci/manifest.ts'
import { type Repository, repositoryKey } from '../../oci/names/repository.ts'
import type { BlobStore } from '../../ports/blob-store.ts'
import type { Catalog } from '../../ports/catalog.ts'
import type { ContentReceiver, FileToAdopt } from '../../ports/content-receiver.ts'
import { Failure } from '../../ports/failure.ts'
import { ContentWriter, type ReadBytes, type WrittenContent } from '../../sources/docker/content-writer.ts'
import { readStoredManifest } from '../../sources/docker/stored-manifest.ts'
import type { ContentToStore, FileToMove, ImageToName, ImportTarget, StoredFacts } from './import-target.ts'
import { rememberReferrers, rememberTagInList } from './imported-lists.ts'
import { wholeImage } from './whole-image.ts'

/** The store that takes an import. */
export interface ImportStore {
  readonly blobs: Pick<BlobStore, 'facts' | 'open'>
  readonly receiver: ContentReceiver
  readonly catalog: Catalog
  adoptFile(file: FileToAdopt, options: { signal: AbortSignal }): Promise<boolean>
  pin(digest: Digest, name?: string): Promise<void>
}

/** How many manifests are read at a time, because each is in memory whole then. */
const MAX_PARALLEL_MANIFESTS = 2

/** Imports into a store that this process has open. The owner of the store closes it. */
export class StoreTarget implements ImportTarget {
  readonly #store: ImportStore
  readonly #isHosted: (repository: Repository) => boolean
  readonly #manifests = new Semaphore(MAX_PARALLEL_MANIFESTS)

  /** `isHosted`: what the cache knows of such a repository, no client would see. */
  constructor(store: ImportStore, isHosted: (repository: Repository) => boolean) {
    this.#store = store
    this.#isHosted = isHosted
  }

  async stored(digests: readonly Digest[]): Promise<ReadonlyMap<Digest, StoredFacts>> {
    const found = new Map<Digest, StoredFacts>()
    for (const digest of digests) {
      const facts = await this.#store.blobs.facts(digest)
      if (facts !== undefined) found.set(digest, { size: facts.size, kind: facts.kind })
    }
    return found
  }

  async manifest(digest: Digest): Promise<Uint8Array | undefined> {
    return (await readStoredManifest(this.#store.blobs, digest))?.bytes
  }

  async put(
    content: ContentToStore,
    read: ReadBytes,
    { signal }: { signal: AbortSignal },
  ): Promise<WrittenContent> {
    const { kind, repository, digest: expected, algorithm, size, origin } = content
    this.#refuseHosted(repository)
    const writer = new ContentWriter(this.#store.receiver, repository, origin)
    const isWanted = (found: Digest): boolean => expected === undefined || found === expected
    const written =
      kind === 'blob'
        ? await writer.writeBlob(read, size, isWanted, algorithm)
        : await this.#manifests.use(signal, () => this.#putManifest(content, read, writer, isWanted))
    if (isWanted(written.digest)) return written
    throw new Failure('corrupt', `the content is not ${expected}: its digest is ${written.digest}`, {
      ...(expected === undefined ? {} : { expected }),
      found: written.digest,
    })
  }

  async move(file: FileToMove, options: { signal: AbortSignal }): Promise<boolean> {
    this.#refuseHosted(file.repository)
    return this.#store.adoptFile(file, options)
  }

  async name({ repository, tag, root, referrers, pin }: ImageToName): Promise<readonly Digest[]> {
    this.#refuseHosted(repository)
    const { blobs, catalog } = this.#store
    const stored = {
      has: async (digest: Digest) => (await blobs.facts(digest)) !== undefined,
      manifest: async (digest: Digest) => (await readStoredManifest(blobs, digest))?.manifest,
    }
    const contents = new Set<Digest>()
    for (const digest of [root, ...referrers]) {
      const image = await wholeImage(digest, stored)
      if (image.missing.length > 0) return image.missing
      for (const content of image.contents) contents.add(content)
    }
    for (const digest of contents) await catalog.rememberKnownName(repository, digest)
    await rememberReferrers(this.#store, repository, referrers)
    if (pin) {
      const name = tag === undefined ? undefined : `${repositoryKey(repository)}:${tag}`
      for (const digest of [root, ...referrers]) await this.#store.pin(digest, name)
    }
    if (tag !== undefined) await this.#setTag(repository, tag, root)
    return []
  }

  async close(): Promise<void> {}

  #refuseHosted(repository: Repository): void {
    if (!this.#isHosted(repository)) return
    throw new Failure(
      'unsupported',
      `${repositoryKey(repository)} is a hosted repository: push the image to the agent instead, for example with skopeo copy`,
    )
  }

  async #putManifest(
    { size, mediaType, algorithm }: ContentToStore,
    read: ReadBytes,
    writer: ContentWriter,
    isWanted: (found: Digest) => boolean,
  ): Promise<WrittenContent> {
    const bytes = await readAll(read, size)
    const manifest = parseManifest(bytes, mediaType)
    if (!manifest.ok) throw new Failure('unsupported', `this manifest cannot be stored: ${manifest.problem}`)
    return writer.writeManifest(
      bytes,
      manifestTypeOf(mediaType, manifest.value),
      manifest.value,
      isWanted,
      algorithm,
    )
  }

  /** A tag that upstream has confirmed with the same digest stays confirmed. */
  async #setTag(repository: Repository, tag: string, digest: Digest): Promise<void> {
    const { catalog, blobs } = this.#store
    const before = await catalog.tag(repository, tag)
    const now = Date.now()
    const checkedAt = before?.digest === digest ? before.checkedAt : now
    const importedAt = before?.digest === digest ? (before.importedAt ?? now) : now
    const mediaType = (await blobs.facts(digest))?.mediaType
    await catalog.rememberTag(repository, tag, { digest, mediaType, checkedAt, importedAt })
    await rememberTagInList(catalog, repository, tag)
  }
}

async function readAll(read: ReadBytes, size: number): Promise<Uint8Array> {
  if (size > MAX_MANIFEST_BYTES) {
    throw new Failure('too-large', `a manifest has ${size} bytes; at most ${MAX_MANIFEST_BYTES} are stored`)
  }
  const bytes = new Uint8Array(size)
  for (let at = 0; at < size; ) {
    const count = await read(bytes.subarray(at))
    if (count === 0) return bytes.subarray(0, at)
    at += count
  }
  return bytes
}
