import { createHash, randomUUID } from 'node:crypto'

export interface StoredObject {
  readonly bytes: Buffer
  readonly etag: string
  readonly modifiedAt: number
}

export interface PendingUpload {
  readonly id: string
  readonly key: string
  readonly startedAt: number
  readonly parts: Map<number, { readonly bytes: Buffer; readonly etag: string }>
}

/** The objects of a bucket, and the uploads that are not completed, in memory. */
export class Objects {
  /** Called after each change. */
  onChange: () => void = () => {}
  readonly #objects = new Map<string, StoredObject>()
  readonly #uploads = new Map<string, PendingUpload>()

  get(key: string): StoredObject | undefined {
    return this.#objects.get(key)
  }

  keys(): string[] {
    return [...this.#objects.keys()].sort()
  }

  put(key: string, bytes: Buffer, modifiedAt = Date.now()): StoredObject {
    const object = { bytes, etag: etagOf(bytes), modifiedAt }
    this.#objects.set(key, object)
    this.onChange()
    return object
  }

  delete(key: string): void {
    this.#objects.delete(key)
    this.onChange()
  }

  uploads(): PendingUpload[] {
    return [...this.#uploads.values()]
  }

  start(key: string, startedAt = Date.now()): PendingUpload {
    const upload = { id: randomUUID(), key, startedAt, parts: new Map() }
    this.#uploads.set(upload.id, upload)
    return upload
  }

  upload(id: string | null): PendingUpload | undefined {
    return id === null ? undefined : this.#uploads.get(id)
  }

  putPart(upload: PendingUpload, number: number, bytes: Buffer): string {
    const etag = etagOf(bytes)
    upload.parts.set(number, { bytes, etag })
    return etag
  }

  complete(upload: PendingUpload): StoredObject {
    const parts = [...upload.parts].sort(([one], [other]) => one - other)
    this.#uploads.delete(upload.id)
    return this.put(upload.key, Buffer.concat(parts.map(([, { bytes }]) => bytes)))
  }

  /** Makes the uploads that are not completed older. */
  ageUploads(ms: number): void {
    for (const [id, upload] of this.#uploads)
      this.#uploads.set(id, { ...upload, startedAt: upload.startedAt - ms })
  }

  abort(upload: PendingUpload): void {
    this.#uploads.delete(upload.id)
    this.onChange()
  }
}

function etagOf(bytes: Buffer): string {
  return `"${createHash('md5').update(bytes).digest('hex')}"`
}
