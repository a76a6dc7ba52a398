import { parseCachedManifest } from '../../oci/cached-manifest.ts'
import { algorithmOf, type Digest, hexOf } from '../../oci/digest.ts'
import type { Repository } from '../../oci/names/repository.ts'
import type { Want } from '../../ports/source.ts'
import type { ContentKeys, Layout } from './layout.ts'

/**
 * The layout of mcronce/oci-registry: `blobs/sha256/<2>/<62>`, and `manifests/<registry>/<name>/<tag or digest>` as JSON.
 * No object says which repository has a blob.
 */
export class OciRegistryLayout implements Layout {
  contentKeys({ digest, kind, repository }: Want): ContentKeys | undefined {
    if (kind === 'manifest') {
      return { data: `${folderOf(repository)}${digest}`, link: undefined, isWrapped: true }
    }
    const hex = hexOf(digest)
    const data = `blobs/${algorithmOf(digest)}/${hex.slice(0, 2)}/${hex.slice(2)}`
    return { data, link: undefined, isWrapped: false }
  }

  tagKey(repository: Repository, tag: string): string {
    return `${folderOf(repository)}${tag}`
  }

  parseTag(text: string): Digest | undefined {
    const manifest = parseCachedManifest(text)
    return manifest?.declared ?? manifest?.digest
  }

  tagsFolder(): undefined {
    return undefined
  }
}

function folderOf({ registry, name }: Repository): string {
  return `manifests/${registry}/${name}/`
}
