import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { TarWriter } from '../../src/lib/tar/tar-writer.ts'
import type { Image, ImagePart, Index } from './image.ts'

/** Files by their path in a folder or an archive. */
export type Files = Map<string, Uint8Array>

/** An OCI image layout. `images`: by reference name; the name '' leaves the annotation out. */
export function layoutFiles(images: Readonly<Record<string, Image | Index>>): Files {
  const files: Files = new Map([['oci-layout', Buffer.from('{"imageLayoutVersion":"1.0.0"}')]])
  const manifests = Object.entries(images).map(([name, image]) => {
    for (const { digest, bytes } of partsOf(image)) files.set(`blobs/${digest.replace(':', '/')}`, bytes)
    const { digest, mediaType, bytes } = image.manifest
    const annotations = name === '' ? {} : { annotations: { 'org.opencontainers.image.ref.name': name } }
    return { mediaType, digest, size: bytes.length, ...annotations }
  })
  files.set('index.json', Buffer.from(JSON.stringify({ schemaVersion: 2, manifests })))
  return files
}

/** What `skopeo copy … dir:` writes. */
export function skopeoFiles(image: Image): Files {
  const files: Files = new Map([['version', Buffer.from('Directory Transport Version: 1.1\n')]])
  for (const { digest, bytes } of image.blobs) files.set(digest.slice('sha256:'.length), bytes)
  return files.set('manifest.json', image.manifest.bytes)
}

export async function writeFiles(folder: string, files: Files): Promise<void> {
  for (const [name, bytes] of files) {
    await mkdir(join(folder, name, '..'), { recursive: true })
    await writeFile(join(folder, name), bytes)
  }
}

export async function writeArchive(path: string, files: Files): Promise<void> {
  const chunks: Uint8Array[] = []
  const writer = new TarWriter(async (bytes) => void chunks.push(Uint8Array.from(bytes)))
  for (const [name, bytes] of files) {
    await writer.addFile(name, bytes.length)
    await writer.write(bytes)
  }
  await writer.end()
  await writeFile(path, Buffer.concat(chunks))
}

export function partsOf(image: Image | Index): readonly ImagePart[] {
  const inside = 'images' in image ? image.images.flatMap(partsOf) : image.blobs
  return [image.manifest, ...inside]
}
