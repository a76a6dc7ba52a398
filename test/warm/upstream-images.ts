import type { Digest } from '../../src/oci/digest.ts'
import { OCI_INDEX, OCI_MANIFEST } from '../../src/oci/media-types.ts'
import type { ImageAdded } from '../../testkit/registries/faulty/content.ts'
import type { FaultyUpstream } from '../../testkit/registries/faulty-upstream.ts'

export function digestsOf({ manifest, config, layers }: ImageAdded): Digest[] {
  return [manifest, config, ...layers]
}

export function addIndex(
  upstream: FaultyUpstream,
  repo: string,
  tag: string,
  entries: readonly { image: Digest; platform?: object; annotations?: object }[],
): Digest {
  const manifests = entries.map(({ image, ...rest }) => ({
    mediaType: OCI_MANIFEST,
    digest: image,
    size: 400,
    ...rest,
  }))
  const index = { schemaVersion: 2, mediaType: OCI_INDEX, manifests }
  return upstream.addManifest(repo, tag, JSON.stringify(index), OCI_INDEX)
}

export function addReferrer(
  upstream: FaultyUpstream,
  repo: string,
  subject: Digest,
  text: string,
): { manifest: Digest; layer: Digest } {
  const layer = upstream.addBlob(Buffer.from(text))
  const config = upstream.addBlob(Buffer.from('{}'))
  const manifest = upstream.addManifest(
    repo,
    undefined,
    JSON.stringify({
      schemaVersion: 2,
      mediaType: OCI_MANIFEST,
      artifactType: 'application/vnd.test.signature',
      config: { mediaType: 'application/vnd.oci.empty.v1+json', digest: config, size: 2 },
      layers: [{ mediaType: 'text/plain', digest: layer, size: text.length }],
      subject: { mediaType: OCI_MANIFEST, digest: subject, size: 400 },
    }),
  )
  return { manifest, layer }
}
