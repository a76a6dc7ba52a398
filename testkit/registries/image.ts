import { createCipheriv, createHash } from 'node:crypto'
import { gzipSync } from 'node:zlib'

/** Builds real images without programs. The same seed gives the same bytes. */

export interface ImagePart {
  readonly digest: string
  readonly mediaType: string
  readonly bytes: Buffer
}

export interface Image {
  readonly manifest: ImagePart
  /** Config first, then the layers. */
  readonly blobs: readonly ImagePart[]
  /** One file of each layer with its content, which a client must have unpacked. */
  readonly files: ReadonlyMap<string, Buffer>
}

export interface Index {
  readonly manifest: ImagePart
  readonly images: readonly Image[]
}

const OCI = 'application/vnd.oci.image'
const ARCHITECTURES: Record<string, string> = { x64: 'amd64', ia32: '386' }

/** This machine's architecture as images name it. */
const architecture = ARCHITECTURES[process.arch] ?? process.arch

export function buildImage(
  seed: string,
  options: {
    layerSizes?: readonly number[]
    architecture?: string
    /** A program that a container of the image runs; it is a layer of its own. */
    program?: Buffer
  } = {},
): Image {
  const layerSizes = options.layerSizes ?? [512 * 1024, 64 * 1024, 100]
  const files = new Map<string, Buffer>()
  const layers: ImageLayer[] = []
  for (const [number, size] of layerSizes.entries()) {
    const name = `layer-${number}.bin`
    const content = bytesFrom(`${seed}/${number}`, size)
    files.set(name, content)
    layers.push(compressedLayer(tarOf(name, content)))
  }
  if (options.program !== undefined) layers.push(compressedLayer(tarOf('program', options.program, 0o755)))
  const command = options.program === undefined ? '/layer-0.bin' : '/program'
  return {
    ...imageOf(layers, { Cmd: [command], Labels: { seed } }, options.architecture ?? architecture),
    files,
  }
}

/** A layer with the digest of its archive, which a client checks when it has unpacked the layer. */
interface ImageLayer extends ImagePart {
  readonly diffId: string
}

function compressedLayer(tar: Buffer): ImageLayer {
  return { ...partOf(gzipSync(tar, { level: 1 }), `${OCI}.layer.v1.tar+gzip`), diffId: digestOf(tar) }
}

export function plainLayer(tar: Buffer): ImageLayer {
  const part = partOf(tar, `${OCI}.layer.v1.tar`)
  return { ...part, diffId: part.digest }
}

/** An image of these layers; `config` is what a container of it runs, as in the field of this name (OCI image config). */
export function imageOf(
  layers: readonly ImageLayer[],
  config: object,
  imageArchitecture = architecture,
): Image {
  const configPart = jsonPart(`${OCI}.config.v1+json`, {
    architecture: imageArchitecture,
    os: 'linux',
    config,
    rootfs: { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) },
    history: layers.map(() => ({ created: '2026-01-01T00:00:00Z', created_by: 'a test' })),
  })
  const manifest = jsonPart(`${OCI}.manifest.v1+json`, {
    schemaVersion: 2,
    mediaType: `${OCI}.manifest.v1+json`,
    config: descriptorOf(configPart),
    layers: layers.map(descriptorOf),
  })
  return { manifest, blobs: [configPart, ...layers], files: new Map() }
}

/** Builds an index with an image for each architecture, including that of this machine. */
export function buildIndex(seed: string, architectures: readonly string[] = ['amd64', 'arm64']): Index {
  const names = [...new Set([architecture, ...architectures])]
  const images = names.map((name) => buildImage(`${seed}/${name}`, { architecture: name }))
  const manifest = jsonPart(`${OCI}.index.v1+json`, {
    schemaVersion: 2,
    mediaType: `${OCI}.index.v1+json`,
    manifests: images.map((image, at) => ({
      ...descriptorOf(image.manifest),
      platform: { os: 'linux', architecture: names[at] },
    })),
  })
  return { manifest, images }
}

/** Pushes over the registry API, because a client could convert the image and change its digest. */
export async function push(
  registry: string,
  repository: string,
  tag: string,
  what: Image | Index,
): Promise<void> {
  const images = 'images' in what ? what.images : [what]
  for (const image of images) {
    for (const blob of image.blobs) await putBlob(registry, repository, blob)
    if (image !== what) await putManifest(registry, repository, image.manifest.digest, image.manifest)
  }
  await putManifest(registry, repository, tag, what.manifest)
}

export function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}

async function putBlob(registry: string, repository: string, blob: ImagePart): Promise<void> {
  const session = await fetch(`${registry}/v2/${repository}/blobs/uploads/`, { method: 'POST' })
  await session.arrayBuffer()
  const location = new URL(session.headers.get('location') ?? '', registry)
  location.searchParams.set('digest', blob.digest)
  await put(location, 'application/octet-stream', blob.bytes)
}

async function putManifest(
  registry: string,
  repository: string,
  reference: string,
  manifest: ImagePart,
): Promise<void> {
  const url = new URL(`/v2/${repository}/manifests/${reference}`, registry)
  await put(url, manifest.mediaType, manifest.bytes)
}

async function put(url: URL, type: string, bytes: Uint8Array): Promise<void> {
  const response = await fetch(url, {
    method: 'PUT',
    headers: { 'content-type': type },
    body: new Uint8Array(bytes),
  })
  if (response.status !== 201) throw new Error(`PUT ${url}: ${response.status} ${await response.text()}`)
  await response.arrayBuffer()
}

function descriptorOf(part: ImagePart) {
  return { mediaType: part.mediaType, digest: part.digest, size: part.bytes.length }
}

function jsonPart(mediaType: string, value: unknown): ImagePart {
  return partOf(Buffer.from(JSON.stringify(value)), mediaType)
}

function partOf(bytes: Buffer, mediaType: string): ImagePart {
  return { digest: digestOf(bytes), mediaType, bytes }
}

/** Random bytes that do not compress. */
function bytesFrom(seed: string, size: number): Buffer {
  const key = createHash('sha256').update(seed).digest()
  return createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(size))
}

/** A ustar archive of one file (POSIX.1-1988): header, content, padding, two empty blocks. */
function tarOf(name: string, content: Buffer, mode = 0o644): Buffer {
  const header = Buffer.alloc(512)
  const octal = (value: number, at: number, length: number): void => {
    header.write(`${value.toString(8).padStart(length - 1, '0')}\0`, at, 'latin1')
  }
  header.write(name, 0, 'latin1')
  octal(mode, 100, 8)
  octal(0, 108, 8)
  octal(0, 116, 8)
  octal(content.length, 124, 12)
  octal(0, 136, 12)
  header.fill(' ', 148, 156)
  header.write('0', 156, 'latin1')
  header.write('ustar\x0000', 257, 'latin1')
  const sum = header.reduce((total, byte) => total + byte, 0)
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
  return Buffer.concat([
    header,
    content,
    Buffer.alloc((512 - (content.length % 512)) % 512),
    Buffer.alloc(1024),
  ])
}
