import type { Digest } from '../../oci/digest.ts'
import type { Descriptor } from '../../oci/manifest.ts'
import { covers, type NameRules, repositoryOf, splitTag } from '../../oci/names/name-rules.ts'
import { isTag } from '../../oci/names/names.ts'
import { isSameRepository, type Repository, repositoryKey } from '../../oci/names/repository.ts'
import type { Content } from '../../ports/content.ts'
import { Failure } from '../../ports/failure.ts'
import type { ImageIdentity, LocalSource, LocalTag } from '../../ports/local-source.ts'
import type { Want } from '../../ports/source.ts'
import { FileContent } from './file-content.ts'
import { type FileTree, PathTree, PerVersion } from './file-tree.ts'
import type { FileCheck } from './file-verifier.ts'
import { ImageGraph, type Locate, type Part } from './image-graph.ts'
import { findLayoutIndex, layoutFile, layoutName, nameIn, readLayoutIndex } from './layout-index.ts'

const MOST_REPOSITORIES_IN_MEMORY = 1_000

/** The images of a layout under one repository. */
interface Images {
  readonly repository: Repository
  readonly tags: ReadonlyMap<string, Descriptor>
  /** With those that have no name, such as referrers. */
  readonly roots: readonly Descriptor[]
}

export interface OciLayoutOptions {
  readonly path: string
  readonly rules: NameRules
  readonly isExclusive: boolean
  readonly verifier: FileCheck
}

/** An OCI image layout, as a folder or as a tar archive, that another program writes. */
export class OciLayoutSource implements LocalSource {
  readonly name: string
  readonly #options: OciLayoutOptions
  readonly #tree: FileTree
  readonly #graph = new ImageGraph()
  readonly #images = new PerVersion<readonly Images[]>(1)
  readonly #parts = new PerVersion<Map<string, Promise<ReadonlyMap<Digest, Part>>>>(1)

  constructor(options: OciLayoutOptions) {
    this.name = `oci ${options.path}`
    this.#options = options
    this.#tree = new PathTree(options.path)
  }

  isExclusive(repository: Repository): boolean {
    return this.#options.isExclusive && covers(this.#options.rules, repository)
  }

  async tag(repository: Repository, tag: string): Promise<LocalTag | undefined> {
    const descriptor = (await this.#imagesOf(repository))?.tags.get(tag)
    if (descriptor === undefined) return undefined
    const { digest, mediaType } = descriptor
    const part = (await this.#partsOf(repository)).get(digest)
    if (part !== undefined) return { digest, mediaType: part.descriptor.mediaType }
    const problem = await this.#graph.problem(digest, this.#locate, mediaType)
    if (problem === undefined) return undefined
    throw new Failure('unsupported', `${this.#tree.path}: ${repositoryKey(repository)}:${tag}: ${problem}.`)
  }

  async identify(repository: Repository, tag: string): Promise<ImageIdentity | undefined> {
    const descriptor = (await this.#imagesOf(repository))?.tags.get(tag)
    if (descriptor === undefined) return undefined
    const configs = await this.#graph.configs(descriptor, this.#locate)
    return { manifest: descriptor.digest, configs }
  }

  async tags(repository: Repository): Promise<readonly string[]> {
    return [...((await this.#imagesOf(repository))?.tags.keys() ?? [])]
  }

  async open({ repository, digest }: Want): Promise<Content | undefined> {
    const part = (await this.#partsOf(repository)).get(digest)
    const range = part && (await this.#locate(digest))
    if (part === undefined || range === undefined) return undefined
    const { verifier } = this.#options
    if (verifier.known(range, digest) === false) return undefined
    return FileContent.open({ digest, mediaType: part.descriptor.mediaType }, range, verifier)
  }

  async referrers(repository: Repository, subject: Digest): Promise<readonly Descriptor[]> {
    return this.#graph.referrers(await this.#partsOf(repository), subject, this.#locate)
  }

  async repositories(): Promise<readonly Repository[]> {
    return (await this.#listed()).map(({ repository }) => repository)
  }

  async close(): Promise<void> {}

  readonly #locate: Locate = (digest) => this.#tree.find(layoutFile(digest))

  async #imagesOf(repository: Repository): Promise<Images | undefined> {
    return (await this.#listed()).find((images) => isSameRepository(images.repository, repository))
  }

  async #partsOf(repository: Repository): Promise<ReadonlyMap<Digest, Part>> {
    const images = await this.#imagesOf(repository)
    const index = await this.#tree.find('index.json')
    if (images === undefined || index === undefined) return new Map()
    const all = await this.#parts.get(index, async () => new Map())
    const key = repositoryKey(repository)
    const known = all.get(key)
    if (known !== undefined) return known
    if (all.size >= MOST_REPOSITORIES_IN_MEMORY) all.clear()
    const parts = this.#graph.parts(images.roots, this.#locate)
    all.set(key, parts)
    parts.catch(() => all.delete(key))
    return parts
  }

  async #listed(): Promise<readonly Images[]> {
    const { path, rules } = this.#options
    const index = await findLayoutIndex(this.#tree)
    return this.#images.get(index, async () =>
      listImages(await readLayoutIndex(this.#tree, index), layoutName(path), rules),
    )
  }
}

function listImages(
  descriptors: readonly Descriptor[],
  ownName: string,
  rules: NameRules,
): readonly Images[] {
  const unnamed = descriptors.filter((descriptor) => nameIn(descriptor) === undefined)
  const byRepository = new Map<
    string,
    { repository: Repository; tags: Map<string, Descriptor>; untagged: Descriptor[] }
  >()
  const imagesOf = (
    name: string,
  ): { readonly tags: Map<string, Descriptor>; readonly untagged: Descriptor[] } | undefined => {
    const repository = repositoryOf(name, rules)
    if (repository === undefined) return undefined
    const key = repositoryKey(repository)
    const images = byRepository.get(key) ?? { repository, tags: new Map<string, Descriptor>(), untagged: [] }
    byRepository.set(key, images)
    return images
  }
  const add = (name: string, tag: string, descriptor: Descriptor): void => {
    const tags = isTag(tag) ? imagesOf(name)?.tags : undefined
    // Of two images under one name the first one counts, as it does for an import.
    if (tags?.has(tag) === false) tags.set(tag, descriptor)
  }
  /** `docker.io/acme/app@sha256:…`, or with a tag before the digest. */
  const addByDigest = (name: string, descriptor: Descriptor): void => {
    imagesOf(splitTag(name).name)?.untagged.push(descriptor)
  }
  for (const descriptor of descriptors) {
    const given = nameIn(descriptor)
    if (given === undefined) continue
    const at = given.indexOf('@')
    if (at >= 0) {
      addByDigest(given.slice(0, at), descriptor)
      continue
    }
    const isTagOnly = isTag(given)
    const { name, tag } = isTagOnly ? { name: ownName, tag: given } : splitTag(given)
    add(name, tag, descriptor)
  }
  const [only] = descriptors
  if (descriptors.length === 1 && only !== undefined && unnamed.length === 1) add(ownName, 'latest', only)
  return [...byRepository.values()].map(({ repository, tags, untagged }) => ({
    repository,
    tags,
    roots: [...tags.values(), ...untagged, ...unnamed],
  }))
}
