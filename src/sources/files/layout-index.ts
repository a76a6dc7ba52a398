import { basename } from 'node:path'
import * as v from 'valibot'
import { jsonObject } from '../../lib/json.ts'
import { algorithmOf, type Digest, hexOf } from '../../oci/digest.ts'
import { type Descriptor, MAX_MANIFEST_BYTES, parseManifest } from '../../oci/manifest.ts'
import { Failure } from '../../ports/failure.ts'
import { type FileRange, type FileTree, readRange } from './file-tree.ts'

/** OCI image spec, "Image Layout Specification". */
const LAYOUT_VERSION = '1.0.0'
const LayoutFile = v.object({ imageLayoutVersion: v.string() })
const REF_NAME = 'org.opencontainers.image.ref.name'
/** containerd writes the whole reference there, and only the tag into `REF_NAME`. */
const CONTAINERD_NAME = 'io.containerd.image.name'

export async function findLayoutIndex(tree: FileTree): Promise<FileRange> {
  const index = await tree.find('index.json')
  if (index !== undefined) return index
  throw new Failure('unavailable', `${tree.path} is no OCI layout: it has no index.json.`)
}

/** Reads the descriptors of `index.json`, and checks the version of the layout. */
export async function readLayoutIndex(tree: FileTree, index: FileRange): Promise<readonly Descriptor[]> {
  await checkVersion(tree)
  const parsed = parseManifest(await readRange(index, MAX_MANIFEST_BYTES))
  if (!parsed.ok) {
    throw new Failure('unavailable', `${tree.path} has an unusable index.json: ${parsed.problem}.`)
  }
  return parsed.value.manifests
}

/** Messages repeat the name. */
const NAME = /^\P{Cc}{0,1000}$/u

/** Where a layout has the bytes of a digest. */
export function layoutFile(digest: Digest): string {
  return `blobs/${algorithmOf(digest)}/${hexOf(digest)}`
}

/** The reference name of an image: whole, or only a tag. Text that is no name of anything counts as none. */
export function nameIn({ annotations }: Descriptor): string | undefined {
  const name = annotations[CONTAINERD_NAME] ?? annotations[REF_NAME]
  return name !== undefined && NAME.test(name) ? name : undefined
}

/** `/srv/base.tar` → `base`: the name of images that have only a tag. */
export function layoutName(path: string): string {
  return basename(path)
    .replace(/\.tar$/, '')
    .toLowerCase()
}

async function checkVersion(tree: FileTree): Promise<void> {
  const file = await tree.find('oci-layout')
  const said = file && v.safeParse(LayoutFile, jsonObject(await readRange(file, MAX_MANIFEST_BYTES)))
  if (said === undefined || !said.success) {
    throw new Failure('unavailable', `${tree.path} is no OCI layout: its file oci-layout says no version.`)
  }
  const { imageLayoutVersion } = said.output
  if (Number.parseInt(imageLayoutVersion, 10) !== Number.parseInt(LAYOUT_VERSION, 10)) {
    throw new Failure(
      'unavailable',
      `${tree.path} is an OCI layout of version ${imageLayoutVersion}; this agent reads version ${LAYOUT_VERSION}.`,
    )
  }
}
