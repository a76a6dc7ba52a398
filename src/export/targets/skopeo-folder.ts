import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { errorCode } from '../../lib/error-code.ts'
import { algorithmOf, type Digest, hexOf } from '../../oci/digest.ts'
import type { Reference } from '../../oci/names/reference.ts'
import { DOCKER_HUB } from '../../oci/names/registry-host.ts'
import { ExportError, writeError } from './export-error.ts'
import { SharedBlobs } from './shared-blobs.ts'
import type { BlobPart, ExportImage, ExportTarget, ImageWriter } from './target.ts'
import { linkFile, removeAbandoned, writeSmallFile } from './whole-file.ts'

const VERSION_FILE = Buffer.from('Directory Transport Version: 1.1\n')
/** What skopeo writes into the folder of an image. */
const OWN_FILES =
  /^(?:version|manifest\.json|(?:sha512-)?[0-9a-f]{64,128}(?:\.manifest\.json)?|signature-\d+)$/

/**
 * Writes images as `skopeo copy … dir:` does: an image is a folder with `version`, `manifest.json`, the blobs under their
 * bare hex, and the manifests that an index lists as `<hex>.manifest.json`.
 */
export class SkopeoFolder implements ExportTarget {
  readonly isConcurrent = true
  readonly #path: string
  readonly #isSingle: boolean
  readonly #blobs = new SharedBlobs()

  /** `isSingle`: the path itself is the image; otherwise each image is in `<name>/<tag>` below it. */
  static async open(path: string, { isSingle }: { isSingle: boolean }): Promise<SkopeoFolder> {
    return new SkopeoFolder(path, isSingle)
  }

  private constructor(path: string, isSingle: boolean) {
    this.#path = path
    this.#isSingle = isSingle
  }

  async begin(image: ExportImage): Promise<ImageWriter> {
    if (image.referrers.length > 0) {
      throw new ExportError(
        `it has referrers, for which dir: has no place; leave out --referrers, or export to oci:`,
      )
    }
    const folder = this.#isSingle ? this.#path : join(this.#path, ...imagePath(image.reference))
    await checkUnused(folder)
    await removeAbandoned(folder)
    return {
      has: (blob) => this.#blobs.provide(blobPath(folder, blob.digest), blob),
      add: (blob, chunks) => this.#blobs.add(blobPath(folder, blob.digest), blob, chunks),
      commit: () => commit(folder, image),
    }
  }

  async finish(): Promise<void> {}

  async close(): Promise<void> {}
}

/** `docker.io/library/alpine:3.20` → `alpine/3.20`, and `ghcr.io/acme/app:v1` → `ghcr.io/acme/app/v1`. */
export function imagePath({ repository, tag, digest }: Reference): readonly string[] {
  const { registry, name } = repository
  const path = registry === DOCKER_HUB ? name.replace(/^library\//, '') : `${registry}/${name}`
  const last = tag ?? (digest === undefined ? 'latest' : `${algorithmOf(digest)}-${hexOf(digest)}`)
  return [...path.split('/'), last]
}

async function commit(folder: string, image: ExportImage): Promise<void> {
  const needed = new Set(['version', 'manifest.json'])
  for (const { digest } of image.blobs) {
    needed.add(fileName(digest))
    // Older versions of skopeo look for the bare hex, whatever the algorithm.
    if (fileName(digest) !== hexOf(digest)) {
      await linkFile(blobPath(folder, digest), join(folder, hexOf(digest)))
      needed.add(hexOf(digest))
    }
  }
  for (const { digest, bytes } of image.manifests) {
    if (digest === image.root.digest) continue
    for (const name of new Set([fileName(digest), hexOf(digest)])) {
      await writeSmallFile(join(folder, `${name}.manifest.json`), bytes)
      needed.add(`${name}.manifest.json`)
    }
  }
  await writeSmallFile(join(folder, 'version'), VERSION_FILE)
  await writeSmallFile(join(folder, 'manifest.json'), image.root.bytes)
  for (const name of await namesIn(folder)) {
    if (OWN_FILES.test(name) && !needed.has(name)) await rm(join(folder, name), { force: true })
  }
}

/** skopeo refuses to write into a folder of something else, because it would be mixed with the image. */
async function checkUnused(folder: string): Promise<void> {
  const other = (await namesIn(folder)).find((name) => !OWN_FILES.test(name) && !name.startsWith('.'))
  if (other === undefined) return
  throw new ExportError(
    `${folder} holds ${JSON.stringify(other)}, which is no part of an image that skopeo writes; write to an empty folder`,
  )
}

async function namesIn(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder)
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return []
    throw writeError(error, folder)
  }
}

function blobPath(folder: string, digest: BlobPart['digest']): string {
  return join(folder, fileName(digest))
}

function fileName(digest: Digest): string {
  return algorithmOf(digest) === 'sha256' ? hexOf(digest) : `${algorithmOf(digest)}-${hexOf(digest)}`
}
