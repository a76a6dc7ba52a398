import type { Dirent } from 'node:fs'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { errorCode } from '../../lib/error-code.ts'
import { type Digest, parseDigest } from '../../oci/digest.ts'
import { MAX_MANIFEST_BYTES, manifestTypeOf, parseManifest } from '../../oci/manifest.ts'
import { isRepositoryName, isTag } from '../../oci/names/names.ts'
import { ExportError, writeError } from '../targets/export-error.ts'
import { digestOfBytes } from '../targets/verified-bytes.ts'

/** For registries without a referrers API, clients look for the referrers of a manifest under this tag. */
const FALLBACK_TAG = /^sha(?:256|512)-[0-9a-f]{64}$/
const MAX_DEPTH = 64

/** A manifest as the tree serves it. */
export interface TreeManifest {
  readonly digest: Digest
  readonly mediaType: string
}

/** One repository of a static tree. */
export interface TreeRepository {
  readonly name: string
  /** By digest, which is the name of the file. */
  readonly manifests: ReadonlyMap<Digest, TreeManifest>
  /** With the fallback tags of referrers, which no list of tags names. */
  readonly tags: ReadonlyMap<string, TreeManifest>
}

function isFallbackTag(tag: string): boolean {
  return FALLBACK_TAG.test(tag)
}

/** Finds the repositories in `<root>/v2`, in the order of their names. */
export async function repositoriesIn(root: string): Promise<readonly string[]> {
  const found: string[] = []
  const visit = async (names: readonly string[]): Promise<void> => {
    const entries = await entriesOf(join(root, 'v2', ...names))
    const folders = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name)
    const isRepository = folders.includes('manifests') && folders.includes('tags')
    const name = names.join('/')
    if (isRepository && isRepositoryName(name)) found.push(name)
    if (names.length === MAX_DEPTH) return
    // A name may go on below a repository, also with words that the repository uses for its own folders.
    for (const folder of folders) await visit([...names, folder])
  }
  await visit([])
  return found.sort()
}

export async function readRepository(root: string, name: string): Promise<TreeRepository> {
  const folder = join(root, 'v2', name, 'manifests')
  const manifests = new Map<Digest, TreeManifest>()
  const tags = new Map<string, TreeManifest>()
  for (const { name: reference } of (await entriesOf(folder)).filter((entry) => entry.isFile())) {
    const digest = parseDigest(reference)
    if (digest === undefined && !isTag(reference)) continue
    const manifest = await readManifest(join(folder, reference), digest)
    if (digest === undefined) tags.set(reference, manifest)
    else manifests.set(digest, manifest)
  }
  return { name, manifests, tags }
}

/** The digests of the blobs of a repository. */
export function blobsOf(root: string, name: string): Promise<readonly Digest[]> {
  return digestsIn(join(root, 'v2', name, 'blobs'))
}

/** The digests of the manifests of a repository that have a list of referrers. */
export function referrersOf(root: string, name: string): Promise<readonly Digest[]> {
  return digestsIn(join(root, 'v2', name, 'referrers'))
}

/** The tags that a list of tags names, in ASCII order. */
export async function tagsOf(root: string, name: string): Promise<readonly string[]> {
  const entries = await entriesOf(join(root, 'v2', name, 'manifests'))
  return entries
    .filter((entry) => entry.isFile() && isTag(entry.name) && !isFallbackTag(entry.name))
    .map((entry) => entry.name)
    .sort()
}

async function digestsIn(folder: string): Promise<readonly Digest[]> {
  const entries = await entriesOf(folder)
  return entries.map((entry) => parseDigest(entry.name)).filter((digest) => digest !== undefined)
}

async function readManifest(path: string, named: Digest | undefined): Promise<TreeManifest> {
  try {
    if ((await stat(path)).size > MAX_MANIFEST_BYTES) {
      throw new ExportError(`${path} is too large for a manifest; remove it, and export the image again`)
    }
    const bytes = await readFile(path)
    const digest = digestOfBytes(bytes, named?.startsWith('sha512:') === true ? 'sha512' : 'sha256')
    const manifest = parseManifest(bytes)
    if (!manifest.ok || (named !== undefined && named !== digest)) {
      throw new ExportError(`${path} is damaged; remove it, and export the image again`)
    }
    return { digest, mediaType: manifestTypeOf(undefined, manifest.value) }
  } catch (error) {
    throw writeError(error, path)
  }
}

async function entriesOf(path: string): Promise<readonly Dirent[]> {
  try {
    return await readdir(path, { withFileTypes: true })
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(errorCode(error) ?? '')) return []
    throw writeError(error, path)
  }
}
