import { join } from 'node:path'
import { algorithmOf, type Digest, hexOf } from '../../oci/digest.ts'
import { type FileRange, fileAt } from './file-tree.ts'

/** The file with the manifest of the image in a folder that `skopeo copy … dir:` has written. */
export const MANIFEST_FILE = 'manifest.json'

/** Finds a content of an image, but for the manifest in `MANIFEST_FILE`. */
export async function contentFile(folder: string, digest: Digest): Promise<FileRange | undefined> {
  const hex = algorithmOf(digest) === 'sha256' ? hexOf(digest) : `${algorithmOf(digest)}-${hexOf(digest)}`
  return (await fileAt(join(folder, hex))) ?? (await fileAt(join(folder, `${hex}.manifest.json`)))
}
