import { randomBytes } from 'node:crypto'
import type { Digest } from '../../src/oci/digest.ts'
import type { FakeS3 } from '../../testkit/object-store/fake-s3.ts'
import { sha256 } from '../../testkit/registries/faulty/content.ts'

const ROOT = 'cache/docker/registry/v2'
const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json'

export interface BucketImage {
  readonly manifest: { readonly bytes: Buffer; readonly digest: Digest }
  readonly blobs: readonly { readonly bytes: Buffer; readonly digest: Digest }[]
}

/** An image that is nowhere yet: a config and layers of random bytes. */
export function makeImage(layerSizes: readonly number[] = [1000]): BucketImage {
  const [config, ...layers] = [100, ...layerSizes].map((size) => {
    const bytes = randomBytes(size)
    return { bytes, digest: sha256(bytes) }
  })
  const described = (blob: BucketImage['blobs'][number] | undefined, mediaType: string) => ({
    mediaType,
    digest: blob?.digest,
    size: blob?.bytes.length,
  })
  const bytes = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: OCI_MANIFEST,
      config: described(config, 'application/vnd.oci.image.config.v1+json'),
      layers: layers.map((layer) => described(layer, 'application/vnd.oci.image.layer.v1.tar')),
    }),
  )
  return {
    manifest: { bytes, digest: sha256(bytes) },
    blobs: config === undefined ? [] : [config, ...layers],
  }
}

export function dataKey(digest: Digest): string {
  const hex = digest.slice('sha256:'.length)
  return `${ROOT}/blobs/sha256/${hex.slice(0, 2)}/${hex}/data`
}

export function layerLink(repository: string, digest: Digest): string {
  return `${ROOT}/repositories/${repository}/_layers/${digest.replace(':', '/')}/link`
}

export function manifestLink(repository: string, digest: Digest): string {
  return `${ROOT}/repositories/${repository}/_manifests/revisions/${digest.replace(':', '/')}/link`
}

export function tagLink(repository: string, tag: string): string {
  return `${ROOT}/repositories/${repository}/_manifests/tags/${tag}/current/link`
}

/** Puts an image into the bucket as the distribution registry writes it. `repository`: with its registry. */
export function fillBucket(fake: FakeS3, repository: string, tag: string, image: BucketImage): void {
  const { manifest, blobs } = image
  const put = (key: string, content: Buffer | string): void => {
    fake.objects.put(key, Buffer.from(content))
  }
  for (const { bytes, digest } of blobs) {
    put(dataKey(digest), bytes)
    put(layerLink(repository, digest), digest)
  }
  put(dataKey(manifest.digest), manifest.bytes)
  put(manifestLink(repository, manifest.digest), manifest.digest)
  put(tagLink(repository, tag), manifest.digest)
}
