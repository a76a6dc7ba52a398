import * as v from 'valibot'
import { jsonObject } from '../../lib/json.ts'
import { BUNDLE_FILE, BUNDLE_VERSION, Bundle } from '../../oci/bundle.ts'
import { type Digest, parseDigest } from '../../oci/digest.ts'
import type { Descriptor } from '../../oci/manifest.ts'
import { repositoryOf, splitTag } from '../../oci/names/name-rules.ts'
import { isTag } from '../../oci/names/names.ts'
import { Failure } from '../../ports/failure.ts'
import { type FileTree, PathTree, readRange } from '../../sources/files/file-tree.ts'
import {
  findLayoutIndex,
  layoutFile,
  layoutName,
  nameIn,
  readLayoutIndex,
} from '../../sources/files/layout-index.ts'
import type { FoundImage, ImageNames, ImportSource, LeftOut, Located } from './import-source.ts'

/** A bundle of many images lists many contents. */
const MAX_BUNDLE_BYTES = 64 * 1024 * 1024

interface LayoutOptions {
  readonly kind: 'oci' | 'oci-archive' | 'docker-archive'
  readonly path: string
  /** Where the bytes are: at `path`, or in a decompressed copy. */
  readonly file: string
  /** The name or the tag of the only image that is wanted. */
  readonly wanted: string | undefined
  readonly names: ImageNames
}

/** The images of an OCI layout, or of a bundle. */
export class LayoutImages implements ImportSource {
  readonly name: string
  readonly isCache = false
  readonly #options: LayoutOptions
  readonly #tree: FileTree
  #descriptors: readonly Descriptor[] = []
  /** What a bundle lists; undefined for other layouts. */
  #listed: ReadonlySet<Digest> | undefined

  constructor(options: LayoutOptions) {
    this.name = `${options.kind}:${options.path}`
    this.#options = options
    this.#tree = new PathTree(options.path, options.file)
  }

  async images(): Promise<{ readonly images: readonly FoundImage[]; readonly leftOut: readonly LeftOut[] }> {
    this.#descriptors = await readLayoutIndex(this.#tree, await findLayoutIndex(this.#tree))
    this.#listed = await this.#readBundle()
    const { wanted, path } = this.#options
    const [only] = this.#descriptors
    const named = this.#descriptors.filter((descriptor) => nameIn(descriptor) !== undefined)
    const isOnlyUnnamed = this.#descriptors.length === 1 && named.length === 0
    const chosen = isOnlyUnnamed && only !== undefined ? [only] : named.filter(isWanted(wanted))
    if (chosen.length === 0) {
      throw new Failure(
        'absent',
        `${path} has no image${wanted === undefined ? ' with a name' : ` ${wanted}`}.`,
      )
    }
    return { images: chosen.map((descriptor) => this.#imageOf(descriptor)), leftOut: [] }
  }

  async locate(_image: FoundImage, digest: Digest): Promise<Located | undefined> {
    return this.#tree.find(layoutFile(digest))
  }

  async possibleReferrers({ root }: FoundImage): Promise<readonly Descriptor[]> {
    return this.#descriptors.filter(({ digest }) => digest !== root.digest)
  }

  isNeeded(digest: Digest): boolean {
    return this.#listed?.has(digest) === true
  }

  #imageOf(descriptor: Descriptor): FoundImage {
    const { names, path } = this.#options
    const given = nameIn(descriptor) ?? ''
    const own = layoutName(path)
    const { name, tag } = nameOf(given, own)
    const repository = repositoryOf(name, { ...names, namePrefix: undefined, prefixes: [] })
    const { digest, mediaType } = descriptor
    return { repository, tag, root: { digest, mediaType }, place: given === '' ? digest : given }
  }

  async #readBundle(): Promise<ReadonlySet<Digest> | undefined> {
    const { path } = this.#options
    const file = await this.#tree.find(BUNDLE_FILE)
    if (file === undefined) return undefined
    const bundle = v.safeParse(Bundle, jsonObject(await readRange(file, MAX_BUNDLE_BYTES)))
    if (!bundle.success) {
      throw new Failure('unavailable', `${path} has an unusable ${BUNDLE_FILE}. Export the bundle again.`)
    }
    const { leatBundle, contents } = bundle.output
    if (leatBundle > BUNDLE_VERSION) {
      throw new Failure(
        'unsupported',
        `${path} is a bundle of version ${leatBundle}; this agent reads version ${BUNDLE_VERSION}. Upgrade it.`,
      )
    }
    for (const { digest: text, size, included } of contents) {
      const digest = parseDigest(text)
      const range = digest === undefined || !included ? undefined : await this.#tree.find(layoutFile(digest))
      if (digest === undefined || (included && range?.size !== size)) {
        const found = range === undefined ? 'nothing' : `${range.size} bytes`
        throw new Failure(
          'corrupt',
          `${path} was altered: it has ${found} where it lists ${text} with ${size} bytes. Copy the bundle again.`,
        )
      }
    }
    return new Set(contents.flatMap(({ digest }) => parseDigest(digest) ?? []))
  }
}

/** Splits `v1`, `acme/app:v1`, or `acme/app@sha256:…`, which gives no tag. */
function nameOf(given: string, ownName: string): { readonly name: string; readonly tag: string | undefined } {
  if (isTag(given)) return { name: ownName, tag: given }
  const at = given.indexOf('@')
  if (at >= 0) return { name: splitTag(given.slice(0, at)).name, tag: undefined }
  return splitTag(given === '' ? ownName : given)
}

function isWanted(wanted: string | undefined): (descriptor: Descriptor) => boolean {
  return (descriptor) => {
    const given = nameIn(descriptor)
    if (wanted === undefined || given === wanted) return true
    return given !== undefined && !isTag(given) && splitTag(given).tag === wanted
  }
}
