import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { inputFromChunks } from '../../lib/tar/inputs.ts'
import { type Digest, digestFrom } from '../../oci/digest.ts'
import { childrenOf, MAX_MANIFEST_BYTES, type Manifest, parseManifest } from '../../oci/manifest.ts'
import type { Repository } from '../../oci/names/repository.ts'
import type { BlobStore } from '../../ports/blob-store.ts'
import type { ContentReceiver } from '../../ports/content-receiver.ts'
import { Failure } from '../../ports/failure.ts'
import { type ClassicParts, type Compression, classicManifest, createCompressor } from './classic-image.ts'
import { ContentWriter, type ReadBytes, type WrittenContent } from './content-writer.ts'
import { readArchive } from './saved-archive.ts'

export interface ImportTarget {
  readonly blobs: Pick<BlobStore, 'facts' | 'open'>
  readonly receiver: ContentReceiver
}

export interface ImportedImage {
  readonly digest: Digest
  readonly mediaType: string
  /** The manifest itself included. */
  readonly contents: ReadonlySet<Digest>
}

/** Opens the archive that `docker save` would write. */
export type Save = () => Promise<Readable>

const PIECE_BYTES = 256 * 1024
/** What compression adds to content that cannot be compressed, at most. */
const COMPRESSION_OVERHEAD_BYTES = 64 * 1024

/** Brings images out of Docker into the store, each by one `save` and only if something of it is missing. */
export class ImageImport {
  readonly #target: ImportTarget
  readonly #writer: ContentWriter

  constructor(target: ImportTarget, repository: Repository, origin: string) {
    this.#target = target
    this.#writer = new ContentWriter(target.receiver, repository, origin)
  }

  /** An image of the classic store, which has layers without compression and no manifest. */
  async classic(
    { config, layers }: ClassicParts,
    compression: Compression,
    save: Save,
  ): Promise<ImportedImage> {
    const found = new Map<Digest, WrittenContent>()
    if (compression === undefined) await this.#findStored([config, ...layers], found)
    if ([config, ...layers].some((digest) => !found.has(digest))) {
      await this.#readClassic(new Set([config, ...layers]), config, compression, found, save)
    }
    const contents = [config, ...layers].map((digest) => {
      const content = found.get(digest)
      if (content !== undefined) return content
      throw new Failure('unavailable', `Docker has saved the image ${config} without ${digest}.`)
    })
    const [first, ...rest] = contents
    if (first === undefined) throw new Error('an image has a config')
    const { bytes, mediaType } = classicManifest(first, rest, compression)
    const manifest = parseManifest(bytes)
    if (!manifest.ok) throw new Error(manifest.problem)
    const digest = digestFrom('sha256', createHash('sha256').update(bytes).digest('hex'))
    if ((await this.#target.blobs.facts(digest)) === undefined) {
      await this.#writer.writeManifest(bytes, mediaType, manifest.value)
    }
    return { digest, mediaType, contents: new Set([digest, ...contents.map((content) => content.digest)]) }
  }

  /** An image that Docker keeps in containerd: `root` is its manifest or index, and everything is served as it is. */
  async containerd(root: Digest, mediaType: string, save: Save): Promise<ImportedImage> {
    const stored = await this.#storedImage(root)
    if (stored !== undefined) return { digest: root, mediaType, contents: stored }
    const contents = new Set<Digest>()
    await this.#read(save, {
      isNeeded: async (digest) => {
        contents.add(digest)
        const facts = await this.#target.blobs.facts(digest)
        return facts === undefined
      },
      blob: async (read, size, digest) => {
        const written = await this.#writer.writeBlob(
          read,
          size,
          (found) => digest === undefined || found === digest,
        )
        if (digest !== undefined && written.digest !== digest) throw wrongContent(digest, written.digest)
      },
      manifest: async (bytes, type, manifest) => {
        await this.#writer.writeManifest(bytes, type, manifest)
      },
    })
    if ((await this.#target.blobs.facts(root)) !== undefined) return { digest: root, mediaType, contents }
    throw new Failure('unavailable', `Docker has saved an image without its manifest ${root}.`)
  }

  async #readClassic(
    wanted: ReadonlySet<Digest>,
    config: Digest,
    compression: Compression,
    found: Map<Digest, WrittenContent>,
    save: Save,
  ): Promise<void> {
    await this.#read(save, {
      isNeeded: async (digest) => wanted.has(digest) && !found.has(digest),
      blob: async (read, size, digest) => {
        if (compression === undefined || digest === config) {
          const written = await this.#writer.writeBlob(
            read,
            size,
            (one) => wanted.has(one) && !found.has(one),
          )
          found.set(written.digest, written)
          return
        }
        const compressed = new CompressedLayer(read, compression)
        const most = size + COMPRESSION_OVERHEAD_BYTES
        const written = await this.#writer.writeBlob(compressed.read, most, () =>
          wanted.has(compressed.rawDigest()),
        )
        found.set(compressed.rawDigest(), written)
      },
      manifest: async () => {},
    })
  }

  async #read(save: Save, listener: Parameters<typeof readArchive>[1]): Promise<void> {
    const archive = await save()
    try {
      await readArchive(archive, listener)
    } finally {
      archive.destroy()
    }
  }

  async #findStored(digests: readonly Digest[], found: Map<Digest, WrittenContent>): Promise<void> {
    for (const digest of digests) {
      const facts = await this.#target.blobs.facts(digest)
      if (facts !== undefined) found.set(digest, { digest, size: facts.size })
    }
  }

  /** All contents below a manifest if the store has all of them. Of an index, images that Docker lacks may be missing. */
  async #storedImage(root: Digest): Promise<ReadonlySet<Digest> | undefined> {
    const manifest = await this.#storedManifest(root)
    if (manifest === undefined) return undefined
    const contents = new Set([root])
    let hasImage = false
    for (const { digest } of childrenOf(manifest)) {
      if (manifest.kind === 'index') {
        for (const child of (await this.#storedImage(digest)) ?? []) {
          contents.add(child)
          hasImage = true
        }
      } else if ((await this.#target.blobs.facts(digest)) === undefined) return undefined
      else contents.add(digest)
    }
    return manifest.kind === 'image' || hasImage ? contents : undefined
  }

  async #storedManifest(digest: Digest): Promise<Manifest | undefined> {
    const facts = await this.#target.blobs.facts(digest)
    if (facts === undefined || facts.kind !== 'manifest' || facts.size > MAX_MANIFEST_BYTES) return undefined
    const content = await this.#target.blobs.open(digest)
    if (content === undefined) return undefined
    try {
      const bytes = new Uint8Array(content.size)
      for (let at = 0; at < bytes.length; ) {
        const count = await content.read(bytes.subarray(at), at)
        if (count === 0) return undefined
        at += count
      }
      const manifest = parseManifest(bytes, content.mediaType)
      return manifest.ok ? manifest.value : undefined
    } finally {
      await content.close()
    }
  }
}

/** A layer that is compressed while it is read, and hashed as it was. */
class CompressedLayer {
  readonly read: ReadBytes
  readonly #hash = createHash('sha256')
  #rawDigest: Digest | undefined

  constructor(read: ReadBytes, compression: 'gzip' | 'zstd') {
    const compressor = createCompressor(compression)
    const hash = this.#hash
    async function* pieces(): AsyncGenerator<Uint8Array> {
      for (;;) {
        const piece = new Uint8Array(PIECE_BYTES)
        const count = await read(piece)
        if (count === 0) return
        hash.update(piece.subarray(0, count))
        yield piece.subarray(0, count)
      }
    }
    // A failure reaches the reader of the compressor.
    void pipeline(Readable.from(pieces()), compressor).catch(() => {})
    this.read = inputFromChunks(compressor).read
  }

  /** Only after the last byte. */
  rawDigest(): Digest {
    this.#rawDigest ??= digestFrom('sha256', this.#hash.digest('hex'))
    return this.#rawDigest
  }
}

function wrongContent(expected: Digest, found: Digest): Failure {
  return new Failure('corrupt', `Docker has saved ${found} under the name ${expected}.`, { expected, found })
}
