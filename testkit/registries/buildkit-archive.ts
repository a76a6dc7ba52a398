import { fileURLToPath } from 'node:url'

/**
 * What a real BuildKit (0.12.5) has written: `buildctl build --frontend dockerfile.v0 --opt platform=linux/amd64,linux/arm64 --opt
 * attest:provenance=mode=min --output type=oci,compression=zstd,force-compression=true,name=docker.io/acme/app:v1`.
 */
export const BUILDKIT_ARCHIVE = fileURLToPath(
  new URL('../../../testkit/registries/recorded/buildkit.tar', import.meta.url),
)

export const BUILDKIT_IMAGE = {
  index: 'sha256:fa76d210ab4ed794045c8993ce88625d0be63c118f94dc4ef0d3ff177de34778',
  /** The only layer of both platforms, compressed with zstd. */
  layer: 'sha256:a16d25bc2e429bc2c4102e8b031d53f2f44be09f577a5fb13cf154bad872ebf0',
  /** Of the platforms, and of the provenance of each. */
  manifests: 4,
  /** In the layer. */
  files: new Map([['hello.txt', Buffer.from('hello from buildkit\n')]]),
} as const
