import { linkSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Image, MANIFEST_TYPE } from '../../content.ts'
import { hex, REPOSITORY } from '../../servers/measured-server.ts'

/** Writes an OCI layout whose blobs are other names of the files of the image. */
export function writeLayout(
  folder: string,
  { manifest, config, layers }: Image,
  name = `${REPOSITORY}:v1`,
): void {
  const blobs = join(folder, 'blobs/sha256')
  mkdirSync(blobs, { recursive: true })
  for (const blob of [manifest, config, ...layers]) linkSync(blob.file, join(blobs, hex(blob.digest)))
  writeFileSync(join(folder, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}')
  const annotations = { 'org.opencontainers.image.ref.name': name }
  const { digest, size } = manifest
  const manifests = [{ mediaType: MANIFEST_TYPE, digest, size, annotations }]
  writeFileSync(join(folder, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests }))
}
