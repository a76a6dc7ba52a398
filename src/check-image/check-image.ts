import { BLOCK_BYTES, formatHeader, paddingOf } from '../lib/tar/header.ts'
import { type Digest, digestOf } from '../oci/digest.ts'
import { OCI_MANIFEST } from '../oci/media-types.ts'
import { exitProgram } from './exit-program.ts'

const PROGRAM_PATH = 'exit'
const PROGRAM_MODE = 0o755
const CONFIG_TYPE = 'application/vnd.oci.image.config.v1+json'
const LAYER_TYPE = 'application/vnd.oci.image.layer.v1.tar'

/** A manifest or a blob of the check image. */
export interface CheckContent {
  readonly digest: Digest
  readonly mediaType: string
  readonly bytes: Uint8Array
}

export interface CheckImage {
  readonly manifest: CheckContent
  readonly blobs: readonly CheckContent[]
}

/**
 * The image for a tag: one layer with a program that succeeds. The tag is part of the configuration, so each tag has a
 * manifest of its own, which no runtime has from an earlier check.
 */
export function checkImage(tag: string, architecture: string): CheckImage {
  const layer = content(LAYER_TYPE, archiveOf(exitProgram(architecture)))
  const config = content(
    CONFIG_TYPE,
    json({
      architecture,
      os: 'linux',
      config: { Entrypoint: [`/${PROGRAM_PATH}`], User: '65532:65532', Labels: { 'leat.check': tag } },
      rootfs: { type: 'layers', diff_ids: [layer.digest] },
    }),
  )
  const manifest = content(
    OCI_MANIFEST,
    json({
      schemaVersion: 2,
      mediaType: OCI_MANIFEST,
      config: descriptorOf(config),
      layers: [descriptorOf(layer)],
    }),
  )
  return { manifest, blobs: [config, layer] }
}

function content(mediaType: string, bytes: Uint8Array): CheckContent {
  return { digest: digestOf(bytes), mediaType, bytes }
}

function descriptorOf({ mediaType, digest, bytes }: CheckContent) {
  return { mediaType, digest, size: bytes.length }
}

function json(value: unknown): Uint8Array {
  return Buffer.from(JSON.stringify(value))
}

function archiveOf(program: Uint8Array): Uint8Array {
  return Buffer.concat([
    formatHeader(PROGRAM_PATH, '0', program.length, PROGRAM_MODE),
    program,
    new Uint8Array(paddingOf(program.length) + 2 * BLOCK_BYTES),
  ])
}
