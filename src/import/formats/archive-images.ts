import * as v from 'valibot'
import { parseJson } from '../../lib/json.ts'
import { type Digest, digestOf, parseDigest } from '../../oci/digest.ts'
import { type Descriptor, MAX_MANIFEST_BYTES } from '../../oci/manifest.ts'
import { repositoryOf, splitTag } from '../../oci/names/name-rules.ts'
import { Failure } from '../../ports/failure.ts'
import { classicManifest } from '../../sources/docker/classic-image.ts'
import {
  type FileRange,
  type FileTree,
  fileAt,
  PathTree,
  readPrefix,
  readRange,
} from '../../sources/files/file-tree.ts'
import type { FoundImage, ImageNames, ImportSource, LeftOut, Located } from './import-source.ts'
import { LayoutImages } from './layout-images.ts'

/** The name of a file or an image: messages repeat it. */
const Name = v.pipe(v.string(), v.regex(/^\P{Cc}{0,1000}$/u))
const ArchiveManifest = v.array(
  v.object({
    Config: Name,
    RepoTags: v.nullish(v.array(Name)),
    Layers: v.nullish(v.array(Name)),
  }),
)
const ConfigFile = v.object({
  rootfs: v.object({ diff_ids: v.nullish(v.array(v.string())) }),
})
type ArchivedImage = v.InferOutput<typeof ArchiveManifest>[number]

const MANIFEST_FILE = 'manifest.json'
const MAX_CONFIG_BYTES = 8 * 1024 * 1024
const MAX_MANIFEST_FILE_BYTES = 16 * 1024 * 1024
const GZIP = Buffer.from([0x1f, 0x8b])
const ZSTD = Buffer.from([0x28, 0xb5, 0x2f, 0xfd])

interface ArchiveOptions {
  readonly path: string
  /** Where the bytes are: at `path`, or in a decompressed copy. */
  readonly file: string
  readonly wanted: string | undefined
  readonly names: ImageNames
}

/** Opens an archive of `docker save`. One of Docker's containerd store has compressed layers, and is an OCI layout too. */
export async function openArchive(options: ArchiveOptions): Promise<ImportSource> {
  const { path } = options
  const tree = new PathTree(path, options.file)
  await checkIsFile(options.file, path)
  const file = await tree.find(MANIFEST_FILE)
  if (file === undefined) {
    throw new Failure('unavailable', `${path} is no archive of docker save: it has no ${MANIFEST_FILE}.`)
  }
  const text = Buffer.from(await readRange(file, MAX_MANIFEST_FILE_BYTES)).toString('utf8')
  const listed = v.safeParse(ArchiveManifest, parseJson(text))
  if (!listed.success) throw new Failure('unavailable', `${path} has an unusable ${MANIFEST_FILE}.`)
  // An archive of the containerd store may have artifacts only, which Docker itself does not list.
  const isLayout = (await tree.find('index.json')) !== undefined
  if (isLayout && listed.output.length === 0) return new LayoutImages({ ...options, kind: 'docker-archive' })
  for (const layer of listed.output.flatMap(({ Layers }) => Layers ?? [])) {
    const range = await tree.find(layer)
    if (range === undefined || !(await isCompressed(range))) continue
    if (isLayout) return new LayoutImages({ ...options, kind: 'docker-archive' })
    throw new Failure(
      'unsupported',
      `${path} has compressed layers without manifests. Copy it first: skopeo copy docker-archive:${path} oci:FOLDER`,
    )
  }
  return new ArchiveImages(options, tree, listed.output)
}

/** The images of an archive of `docker save`, each with a manifest that is made of its config and its layers. */
class ArchiveImages implements ImportSource {
  readonly name: string
  readonly isCache = false
  readonly #options: ArchiveOptions
  readonly #tree: FileTree
  readonly #listed: readonly ArchivedImage[]
  readonly #contents = new Map<Digest, Located>()

  constructor(options: ArchiveOptions, tree: FileTree, listed: readonly ArchivedImage[]) {
    this.name = `docker-archive:${options.path}`
    this.#options = options
    this.#tree = tree
    this.#listed = listed
  }

  async images(): Promise<{ readonly images: readonly FoundImage[]; readonly leftOut: readonly LeftOut[] }> {
    const { path, wanted, names } = this.#options
    const images: FoundImage[] = []
    const leftOut: LeftOut[] = []
    for (const listed of this.#listed) {
      const tags = listed.RepoTags ?? []
      const chosen = wanted === undefined ? tags : tags.filter((tag) => tag === wanted)
      if (wanted !== undefined && chosen.length === 0) continue
      const root = await this.#manifestOf(listed)
      if ('error' in root) {
        leftOut.push(root)
        continue
      }
      if (chosen.length === 0)
        images.push({ repository: undefined, tag: undefined, root, place: listed.Config })
      for (const reference of chosen) {
        const { name, tag } = splitTag(reference)
        const repository = repositoryOf(name, { ...names, namePrefix: undefined, prefixes: [] })
        images.push({ repository, tag, root, place: reference })
      }
    }
    if (images.length === 0 && leftOut.length === 0) {
      throw new Failure('absent', `${path} has no image${wanted === undefined ? '' : ` ${wanted}`}.`)
    }
    return { images, leftOut }
  }

  async locate(_image: FoundImage, digest: Digest): Promise<Located | undefined> {
    return this.#contents.get(digest)
  }

  async possibleReferrers(): Promise<readonly Descriptor[]> {
    return []
  }

  isNeeded(): boolean {
    return false
  }

  async #manifestOf({
    Config,
    Layers,
  }: ArchivedImage): Promise<{ readonly digest: Digest; readonly mediaType: string } | LeftOut> {
    const { path } = this.#options
    const leaveOut = (error: string): LeftOut => ({ file: path, error })
    const configFile = await this.#tree.find(Config)
    if (configFile === undefined) return leaveOut(`It lists the config ${Config}, which is not in it.`)
    if (configFile.size > MAX_CONFIG_BYTES) return leaveOut(`Its config ${Config} is too large.`)
    const config = await readRange(configFile, MAX_CONFIG_BYTES)
    const parsed = v.safeParse(ConfigFile, parseJson(Buffer.from(config).toString('utf8')))
    const ids = parsed.success ? (parsed.output.rootfs.diff_ids ?? []).map(parseDigest) : undefined
    if (ids === undefined || ids.includes(undefined)) return leaveOut(`Its config ${Config} is unusable.`)
    const layers: { readonly digest: Digest; readonly size: number }[] = []
    for (const [at, digest] of ids.entries()) {
      const name = Layers?.[at]
      const range = name === undefined ? undefined : await this.#tree.find(name)
      if (range === undefined || digest === undefined) {
        return leaveOut(`It lists the layer ${name ?? digest}, which is not in it.`)
      }
      this.#contents.set(digest, range)
      layers.push({ digest, size: range.size })
    }
    const configDigest = hashed(config)
    this.#contents.set(configDigest, config)
    const manifest = classicManifest({ digest: configDigest, size: config.length }, layers, undefined)
    const digest = hashed(manifest.bytes)
    if (manifest.bytes.length > MAX_MANIFEST_BYTES)
      return leaveOut(`Its image ${Config} has too many layers.`)
    this.#contents.set(digest, manifest.bytes)
    return { digest, mediaType: manifest.mediaType }
  }
}

function hashed(bytes: Uint8Array): Digest {
  return digestOf(bytes)
}

async function isCompressed(range: FileRange): Promise<boolean> {
  const start = await readPrefix(range, ZSTD.length)
  return [GZIP, ZSTD].some((magic) => magic.equals(start.subarray(0, magic.length)))
}

async function checkIsFile(at: string, path: string): Promise<void> {
  if ((await fileAt(at)) === undefined) throw new Failure('unavailable', `${path} is not a file.`)
}
