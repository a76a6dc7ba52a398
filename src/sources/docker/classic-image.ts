import type { Transform } from 'node:stream'
import * as zlib from 'node:zlib'
import type { Digest } from '../../oci/digest.ts'
import { OCI_MANIFEST } from '../../oci/media-types.ts'
import { Failure } from '../../ports/failure.ts'
import type { WrittenContent } from './content-writer.ts'

/** How the layers of a classic image are sent: Docker itself has them uncompressed only. */
export type Compression = 'gzip' | 'zstd' | undefined

const CONFIG_TYPE = 'application/vnd.oci.image.config.v1+json'
const LAYER_TYPE = 'application/vnd.oci.image.layer.v1.tar'

/**
 * The manifest of an image in Docker's classic store, which keeps none. It follows from the config and the layers alone,
 * so that the same image has the same digest on every machine.
 */
export function classicManifest(
  config: WrittenContent,
  layers: readonly WrittenContent[],
  compression: Compression,
): { readonly bytes: Uint8Array; readonly mediaType: string } {
  const layerType = compression === undefined ? LAYER_TYPE : `${LAYER_TYPE}+${compression}`
  const json = {
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    config: { mediaType: CONFIG_TYPE, digest: config.digest, size: config.size },
    layers: layers.map(({ digest, size }) => ({ mediaType: layerType, digest, size })),
  }
  return { bytes: Buffer.from(JSON.stringify(json)), mediaType: OCI_MANIFEST }
}

/** Compresses a layer; equal layers give equal bytes, as long as the agents run on the same version of Node. */
export function createCompressor(compression: 'gzip' | 'zstd'): Transform {
  if (compression === 'gzip') return zlib.createGzip({ level: 6 })
  const create = zstd()
  if (create === undefined) throw new Failure('unsupported', ZSTD_MISSING)
  return create()
}

export function checkCompression(compression: Compression): void {
  if (compression === 'zstd' && zstd() === undefined) throw new Failure('unsupported', ZSTD_MISSING)
}

const ZSTD_MISSING = `compress: zstd needs Node 22.15 or newer, and this is ${process.version}. Use gzip.`

/** The types of Node 20 do not have it. */
function zstd(): (() => Transform) | undefined {
  const create: unknown = Reflect.get(zlib, 'createZstdCompress')
  return typeof create === 'function' ? (create as () => Transform) : undefined
}

/** The digests that make up a classic image: the config, which is its id, and the uncompressed layers. */
export interface ClassicParts {
  readonly config: Digest
  readonly layers: readonly Digest[]
}
