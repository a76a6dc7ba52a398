import { createCipheriv, createHash } from 'node:crypto'
import { createReadStream, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { open, rename } from 'node:fs/promises'
import { join } from 'node:path'

export interface Blob {
  readonly digest: string
  readonly size: number
  readonly file: string
}

export interface Image {
  readonly manifest: Blob
  readonly config: Blob
  readonly layers: readonly Blob[]
}

export const MANIFEST_TYPE = 'application/vnd.oci.image.manifest.v1+json'
/** docker-registry answers 404 to requests that do not accept this type by name. */
export const ACCEPT_MANIFEST = { Accept: MANIFEST_TYPE }
const UNIT = 4 << 20

/** The content that every server serves: a folder with one file per digest, named by its hex. */
export class Content {
  readonly folder: string
  #made = 0

  constructor(folder: string) {
    this.folder = folder
    mkdirSync(folder, { recursive: true })
  }

  /** Makes a blob of new bytes that do not compress. */
  async blob(size: number): Promise<Blob> {
    const key = createHash('sha256')
      .update(`${process.pid} ${Date.now()} ${this.#made++}`)
      .digest()
    const stream = createCipheriv('aes-256-ctr', key, Buffer.alloc(16))
    const zeros = Buffer.alloc(Math.min(UNIT, size))
    const hash = createHash('sha256')
    const draft = join(this.folder, `draft-${this.#made}`)
    const file = await open(draft, 'wx')
    try {
      for (let at = 0; at < size; at += zeros.length) {
        const piece = stream.update(zeros.subarray(0, Math.min(zeros.length, size - at)))
        hash.update(piece)
        await file.writeFile(piece)
      }
    } finally {
      await file.close()
    }
    return this.#addFile(draft, hash.digest('hex'), size)
  }

  async blobs(count: number, size: number): Promise<Blob[]> {
    const made: Blob[] = []
    while (made.length < count) made.push(await this.blob(size))
    return made
  }

  async image(layerCount: number, layerSize: number): Promise<Image> {
    return this.imageOf(await this.blobs(layerCount, layerSize))
  }

  async imageOf(layers: readonly Blob[]): Promise<Image> {
    const config = await this.#text({
      architecture: 'amd64',
      os: 'linux',
      config: { Env: [`BENCH=${this.#made}`] },
      rootfs: { type: 'layers', diff_ids: layers.map((layer) => layer.digest) },
    })
    const layer = 'application/vnd.oci.image.layer.v1.tar+gzip'
    const manifest = await this.#text({
      schemaVersion: 2,
      mediaType: MANIFEST_TYPE,
      config: descriptor(config, 'application/vnd.oci.image.config.v1+json'),
      layers: layers.map((one) => descriptor(one, layer)),
    })
    return { manifest, config, layers }
  }

  drop(blob: Blob): void {
    rmSync(blob.file, { force: true })
  }

  async #text(value: object): Promise<Blob> {
    const bytes = Buffer.from(JSON.stringify(value, undefined, 2))
    const file = join(this.folder, `draft-${this.#made++}`)
    writeFileSync(file, bytes)
    return this.#addFile(file, createHash('sha256').update(bytes).digest('hex'), bytes.length)
  }

  async #addFile(draft: string, hex: string, size: number): Promise<Blob> {
    const file = join(this.folder, hex)
    await rename(draft, file)
    return { digest: `sha256:${hex}`, size, file }
  }
}

function descriptor(blob: Blob, mediaType: string): object {
  return { mediaType, digest: blob.digest, size: blob.size }
}

export async function digestOfFile(file: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const piece of createReadStream(file, { highWaterMark: UNIT })) hash.update(piece)
  return `sha256:${hash.digest('hex')}`
}
