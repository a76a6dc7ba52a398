import type { Dirent } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { errorCode } from '../../lib/error-code.ts'
import { jsonObject } from '../../lib/json.ts'
import { type Digest, digestOf } from '../../oci/digest.ts'
import {
  childrenOf,
  type Descriptor,
  MAX_MANIFEST_BYTES,
  type Manifest,
  manifestTypeOf,
  parseManifest,
} from '../../oci/manifest.ts'
import { covers, type NameRules, repositoryOf } from '../../oci/names/name-rules.ts'
import { isTag } from '../../oci/names/names.ts'
import { looksLikeHost } from '../../oci/names/registry-host.ts'
import { isSameRepository, type Repository, repositoryKey } from '../../oci/names/repository.ts'
import type { Content } from '../../ports/content.ts'
import { Failure } from '../../ports/failure.ts'
import type { ImageIdentity, LocalSource, LocalTag } from '../../ports/local-source.ts'
import type { Want } from '../../ports/source.ts'
import { FileContent } from './file-content.ts'
import { type FileRange, fileAt, PerVersion, readRange } from './file-tree.ts'
import type { FileCheck } from './file-verifier.ts'
import { ImageGraph, type Part } from './image-graph.ts'
import { contentFile, MANIFEST_FILE } from './skopeo-files.ts'

export interface SkopeoFolderOptions {
  readonly path: string
  readonly rules: NameRules
  readonly isExclusive: boolean
  readonly verifier: FileCheck
}

/** One image of the folder: `<name>/<tag>/`, as `skopeo copy … dir:` writes it. */
interface Image {
  readonly folder: string
  readonly manifestFile: FileRange
  readonly digest: Digest
  readonly mediaType: string
  readonly manifest: Manifest
}

const DEEPEST_NAME = 16
const MOST_IMAGES = 20_000

/**
 * A folder with an image in each `<name>/<tag>/`. The folder is looked at anew for each request, so an image is served as
 * soon as skopeo has written it whole, and not before.
 */
export class SkopeoFolderSource implements LocalSource {
  readonly name: string
  readonly #options: SkopeoFolderOptions
  readonly #graph = new ImageGraph()
  readonly #read = new PerVersion<Omit<Image, 'folder' | 'manifestFile'> | undefined>(MOST_IMAGES)

  constructor(options: SkopeoFolderOptions) {
    this.name = `dir ${options.path}`
    this.#options = options
  }

  isExclusive(repository: Repository): boolean {
    return this.#options.isExclusive && covers(this.#options.rules, repository)
  }

  tag(repository: Repository, tag: string): Promise<LocalTag | undefined> {
    return this.#wholeImage(repository, tag)
  }

  async identify(repository: Repository, tag: string): Promise<ImageIdentity | undefined> {
    const image = await this.#wholeImage(repository, tag)
    if (image === undefined) return undefined
    const configs = await this.#graph.configs(rootOf(image), (wanted) => this.#locate(image, wanted))
    return { manifest: image.digest, configs }
  }

  async tags(repository: Repository): Promise<readonly string[]> {
    const tags = new Set<string>()
    for (const image of await this.#imagesOf(repository)) tags.add(image.tag)
    return [...tags]
  }

  async open({ repository, digest }: Want): Promise<Content | undefined> {
    for (const image of await this.#imagesOf(repository)) {
      const range = await this.#locate(image, digest)
      if (range === undefined) continue
      const part = (await this.#partsOf(image)).get(digest)
      if (part === undefined || this.#options.verifier.known(range, digest) === false) continue
      const { mediaType } = part.descriptor
      return FileContent.open({ digest, mediaType }, range, this.#options.verifier)
    }
    return undefined
  }

  async referrers(repository: Repository, subject: Digest): Promise<readonly Descriptor[]> {
    const found = new Map<Digest, Descriptor>()
    for (const image of await this.#imagesOf(repository)) {
      const parts = await this.#partsOf(image)
      const locate = (digest: Digest) => this.#locate(image, digest)
      for (const descriptor of await this.#graph.referrers(parts, subject, locate)) {
        found.set(descriptor.digest, descriptor)
      }
    }
    return [...found.values()]
  }

  async repositories(): Promise<readonly Repository[]> {
    const found = new Map<string, Repository>()
    const visit = async (names: readonly string[]): Promise<void> => {
      const entries = await listFolder(join(this.#options.path, ...names))
      if (names.length === 0 && entries === undefined) {
        throw new Failure('unavailable', `${this.#options.path} does not exist.`)
      }
      if (entries?.some(({ name }) => name === MANIFEST_FILE) === true) {
        const repository = repositoryOf(names.slice(0, -1).join('/'), this.#options.rules)
        if (repository !== undefined) found.set(repositoryKey(repository), repository)
        return
      }
      if (names.length > DEEPEST_NAME || found.size > MOST_IMAGES) return
      for (const entry of entries ?? []) if (entry.isDirectory()) await visit([...names, entry.name])
    }
    await visit([])
    return [...found.values()]
  }

  async close(): Promise<void> {}

  /** The folders that may have images of a repository: names are written with and without registry, `library/` and prefix. */
  async #foldersOf(repository: Repository): Promise<readonly string[]> {
    const { path, rules } = this.#options
    const { registry, name } = repository
    // With the setting `registry`, images may have any registry in their own names.
    const entries = rules.registry === undefined ? [] : ((await listFolder(path)) ?? [])
    const registries = [registry, ...entries.map((entry) => entry.name).filter(looksLikeHost)]
    const prefix = rules.namePrefix === undefined ? '' : `${rules.namePrefix.replace(/\/+$/, '')}/`
    const bare = [name, name.replace(/^library\//, '')]
    const unprefixed = bare.map((one) => (one.startsWith(prefix) ? one.slice(prefix.length) : one))
    const onRegistries = registries.flatMap((host) => unprefixed.map((one) => `${host}/${one}`))
    return [...new Set([...unprefixed, ...onRegistries])]
      .filter((one) => {
        const served = repositoryOf(one, rules)
        return served !== undefined && isSameRepository(served, repository)
      })
      .map((one) => join(path, one))
  }

  async #wholeImage(repository: Repository, tag: string): Promise<Image | undefined> {
    for (const folder of await this.#foldersOf(repository)) {
      const image = await this.#image(join(folder, tag))
      if (image !== undefined && (await this.#isWhole(image))) return image
    }
    return undefined
  }

  async #imagesOf(repository: Repository): Promise<readonly (Image & { readonly tag: string })[]> {
    const found: (Image & { readonly tag: string })[] = []
    for (const folder of await this.#foldersOf(repository)) {
      for (const { name: tag } of (await listFolder(folder)) ?? []) {
        if (!isTag(tag)) continue
        const image = await this.#image(join(folder, tag)).catch(unlessUnsupported)
        if (image !== undefined && (await this.#isWhole(image))) found.push({ ...image, tag })
      }
    }
    return found
  }

  /** undefined while there is no manifest, or one that is still being written. Rejects when it is one of another kind. */
  async #image(folder: string): Promise<Image | undefined> {
    const manifestFile = await fileAt(join(folder, MANIFEST_FILE))
    if (manifestFile === undefined || manifestFile.size > MAX_MANIFEST_BYTES) return undefined
    const read = await this.#read.get(manifestFile, async () => {
      const bytes = await readRange(manifestFile, MAX_MANIFEST_BYTES)
      const manifest = parseManifest(bytes)
      if (manifest.ok) {
        const mediaType = manifestTypeOf(undefined, manifest.value)
        return { digest: digestOf(bytes), manifest: manifest.value, mediaType }
      }
      if (jsonObject(bytes) === undefined) return undefined
      throw new Failure('unsupported', `${manifestFile.path}: ${manifest.problem}.`)
    })
    return read && { ...read, folder, manifestFile }
  }

  /** Whether all blobs of the image, or of one image of an index, are in its folder with the size that they must have. */
  async #isWhole(image: Image): Promise<boolean> {
    if (image.manifest.kind === 'image') return this.#hasBlobs(image, image.manifest)
    const manifests = await Promise.all(
      image.manifest.manifests.map(({ digest, mediaType }) =>
        this.#graph.manifest(digest, (wanted) => this.#locate(image, wanted), mediaType),
      ),
    )
    const present = manifests.filter((manifest) => manifest !== undefined)
    const areWhole = await Promise.all(present.map((manifest) => this.#hasBlobs(image, manifest)))
    return areWhole.length > 0 && areWhole.every(Boolean)
  }

  async #hasBlobs(image: Image, manifest: Manifest): Promise<boolean> {
    const blobs = childrenOf(manifest).filter(({ isForeign }) => !isForeign)
    const sizes = await Promise.all(
      blobs.map(async ({ digest }) => (await this.#locate(image, digest))?.size),
    )
    return blobs.every(({ size }, i) => sizes[i] === size)
  }

  #partsOf(image: Image): Promise<ReadonlyMap<Digest, Part>> {
    return this.#graph.parts([rootOf(image)], (wanted) => this.#locate(image, wanted))
  }

  async #locate({ folder, digest, manifestFile }: Image, wanted: Digest): Promise<FileRange | undefined> {
    if (wanted === digest) return manifestFile
    return contentFile(folder, wanted)
  }
}

function rootOf({ digest, mediaType, manifestFile }: Image): Descriptor {
  return {
    digest,
    mediaType,
    size: manifestFile.size,
    artifactType: undefined,
    platform: undefined,
    annotations: {},
    isForeign: false,
  }
}

function unlessUnsupported(error: unknown): undefined {
  if (error instanceof Failure && error.code === 'unsupported') return undefined
  throw error
}

/** undefined: there is no such folder. */
async function listFolder(path: string): Promise<readonly Dirent[] | undefined> {
  try {
    return await readdir(path, { withFileTypes: true })
  } catch (cause) {
    if (['ENOENT', 'ENOTDIR'].includes(errorCode(cause) ?? '')) return undefined
    throw new Failure('unavailable', `${path} cannot be read: ${errorCode(cause) ?? String(cause)}.`, {
      cause,
    })
  }
}
