import { type Digest, parseDigest } from '../../../oci/digest.ts'
import { isRepositoryName } from '../../../oci/names/names.ts'
import { parseRegistryHost } from '../../../oci/names/registry-host.ts'
import type { Repository } from '../../../oci/names/repository.ts'
import type { Want } from '../../../ports/source.ts'

/** What a peer asks for: the bytes of a content from an offset to its end. */
export interface ContentRequest {
  readonly digest: Digest
  readonly repository: Repository
  readonly from: number
}

const PATH = /^\/v2\/([^?]+)\/(?:blobs|manifests)\/([^/?]+)\?ns=([^&]+)$/
const RANGE = /^bytes=(\d{1,15})-$/

/** The path of a content, as registries have it. The registry that the repository belongs to is the parameter `ns`. */
export function contentPath({ digest, kind, repository }: Want): string {
  const folder = kind === 'manifest' ? 'manifests' : 'blobs'
  return `/v2/${repository.name}/${folder}/${digest}?ns=${encodeURIComponent(repository.registry)}`
}

/** Gives undefined when the path or the range is not one of a content. */
export function parseContentRequest(path: string, range: string | undefined): ContentRequest | undefined {
  const [, name = '', digestText = '', ns = ''] = PATH.exec(path) ?? []
  const digest = parseDigest(digestText)
  const registry = decoded(ns)
  const from = range === undefined ? 0 : Number(RANGE.exec(range)?.[1] ?? Number.NaN)
  const isValid = isRepositoryName(name) && parseRegistryHost(registry) === registry && !Number.isNaN(from)
  return digest === undefined || !isValid ? undefined : { digest, repository: { registry, name }, from }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return ''
  }
}
