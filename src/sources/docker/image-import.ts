import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { inputFromChunks } from '../../lib/tar/inputs.ts'
import type { ByteInput } from '../../lib/tar/tar-reader.ts'
import { type Algorithm, algorithmOf, type Digest, digestFrom, digestOf } from '../../oci/digest.ts'
import { childrenOf, type Manifest, parseManifest } from '../../oci/manifest.ts'
import { Failure } from '../../ports/failure.ts'
import { type ClassicParts, type Compression, classicManifest, createCompressor } from './classic-image.ts'
import type { ContentWriter, ReadBytes, WrittenContent } from './content-writer.ts'
import { readArchive } from './saved-archive.ts'

/** Where an image of Docker is stored. */
export interface DockerImageTarget {
  facts(digest: Digest): Promise<{ readonly size: number } | undefined>
  /** undefined: it is not stored, or it is no manifest. */
  manifest(digest: Digest): Promise<Manifest | undefined>
  readonly writer: Pick<ContentWriter, 'writeBlob' | 'writeManifest'>
}

export interface ImportedImage {
  readonly digest: Digest
  readonly mediaType: string
  /** The manifest itself included. */
  readonly contents: ReadonlySet<Digest>
}

/** Opens the archive that `docker save` would write. Its reader closes it. */
export type Save = () => Promise<ByteInput & { close(): void }>

const PIECE_BYTES = 256 * 1024
/** What compression adds to content that cannot be compressed, at most. */
const COMPRESSION_OVERHEAD_BYTES = 64 * 1024

/** Brings images out of Docker into the store, each by one `save` and only if something of it is missing. */
export class ImageImport {
  readonly #target: DockerImageTarget

  constructor(target: DockerImageTarget) {
    this.#target = target
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
    const digest = digestOf(bytes)
    if ((await this.#target.facts(digest)) === undefined) {
      await this.#target.writer.writeManifest(bytes, mediaType, manifest.value)
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
        const facts = await this.#target.facts(digest)
        return facts === undefined
      },
      blob: async (read, size, digest) => {
        const written = await this.#target.writer.writeBlob(
          read,
          size,
          (found) => digest === undefined || found === digest,
          algorithmIn(digest),
        )
        if (digest !== undefined && written.digest !== digest) throw wrongContent(digest, written.digest)
      },
      manifest: async ({ digest, bytes, mediaType: type, manifest }) => {
        const isWanted = (found: Digest): boolean => found === digest
        const { writer } = this.#target
        const written = await writer.writeManifest(bytes, type, manifest, isWanted, algorithmIn(digest))
        if (written.digest !== digest) throw wrongContent(digest, written.digest)
      },
    })
    if ((await this.#target.facts(root)) !== undefined) return { digest: root, mediaType, contents }
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
          const written = await this.#target.writer.writeBlob(
            read,
            size,
            (one) => wanted.has(one) && !found.has(one),
            algorithmIn(digest),
          )
          found.set(written.digest, written)
          return
        }
        const compressed = new CompressedLayer(read, compression)
        const most = size + COMPRESSION_OVERHEAD_BYTES
        const written = await this.#target.writer.writeBlob(compressed.read, most, () =>
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
      archive.close()
    }
  }

  async #findStored(digests: readonly Digest[], found: Map<Digest, WrittenContent>): Promise<void> {
    for (const digest of digests) {
      const facts = await this.#target.facts(digest)
      if (facts !== undefined) found.set(digest, { digest, size: facts.size })
    }
  }

  /** All contents below a manifest if the store has all of them. Of an index, images that Docker lacks may be missing. */
  async #storedImage(root: Digest): Promise<ReadonlySet<Digest> | undefined> {
    const manifest = await this.#target.manifest(root)
    if (manifest === undefined) return undefined
    const contents = new Set([root])
    let hasImage = false
    for (const { digest } of childrenOf(manifest)) {
      if (manifest.kind === 'index') {
        for (const child of (await this.#storedImage(digest)) ?? []) {
          contents.add(child)
          hasImage = true
        }
      } else if ((await this.#target.facts(digest)) === undefined) return undefined
      else contents.add(digest)
    }
    return manifest.kind === 'image' || hasImage ? contents : undefined
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

/** Of a layer whose name says no digest, the config has the digest by SHA-256. */
function algorithmIn(digest: Digest | undefined): Algorithm {
  return digest === undefined ? 'sha256' : algorithmOf(digest)
}

function wrongContent(expected: Digest, found: Digest): Failure {
  return new Failure('corrupt', `Docker has saved ${found} under the name ${expected}.`, { expected, found })
}
