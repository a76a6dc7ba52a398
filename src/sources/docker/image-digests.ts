import { parseDigest } from '../../oci/digest.ts'
import { Failure } from '../../ports/failure.ts'
import type { ImageIdentity } from '../../ports/local-source.ts'
import type { DockerImage } from './docker-client.ts'

/** What an image of the classic store consists of. */
export function partsOf({ Id, RootFS }: DockerImage) {
  const config = parseDigest(Id)
  const layers = (RootFS?.Layers ?? []).map(parseDigest)
  if (config === undefined || layers.includes(undefined)) {
    throw new Failure('unsupported', `Docker describes the image ${Id} without digests.`)
  }
  return { config, layers: layers.filter((layer) => layer !== undefined) }
}

export function identityOf(image: DockerImage): ImageIdentity {
  const manifest = image.Descriptor && parseDigest(image.Descriptor.digest)
  // In the classic store, the id is the digest of the config.
  return manifest ? { manifest, configs: [] } : { manifest: undefined, configs: [partsOf(image).config] }
}
