import { BLOCK_BYTES, formatHeader, formatPax, paddingOf, TarError } from './header.ts'

const MOST_NAME_BYTES = 100
/** The largest size that eleven octal digits hold. */
const MOST_OCTAL = 8 ** 11 - 1
const END = new Uint8Array(2 * BLOCK_BYTES)

/** Writes an archive. Equal entries in equal order make equal archives: entries have no owner and no time. */
export class TarWriter {
  readonly #write: (bytes: Uint8Array) => Promise<void>
  #left = 0
  #padding = 0

  /** `write` resolves when it takes more bytes. */
  constructor(write: (bytes: Uint8Array) => Promise<void>) {
    this.#write = write
  }

  async addDirectory(path: string): Promise<void> {
    await this.#add(`${path}/`, '5', 0)
  }

  /** Begins a file, whose content `write` must then be given whole. */
  async addFile(path: string, size: number): Promise<void> {
    await this.#add(path, '0', size)
  }

  async write(bytes: Uint8Array): Promise<void> {
    if (bytes.length > this.#left) throw new TarError('a file has more bytes than its header says')
    this.#left -= bytes.length
    await this.#write(bytes)
  }

  /** Completes a file, so that another writer can go on after it. */
  async endFile(): Promise<void> {
    await this.#endEntry()
  }

  async end(): Promise<void> {
    await this.#endEntry()
    await this.#write(END)
  }

  async #add(path: string, type: string, size: number): Promise<void> {
    await this.#endEntry()
    const records = [
      ...(Buffer.byteLength(path) > MOST_NAME_BYTES ? [formatPax('path', path)] : []),
      ...(size > MOST_OCTAL ? [formatPax('size', String(size))] : []),
    ]
    if (records.length > 0) {
      const extension = Buffer.concat(records)
      await this.#write(formatHeader('PaxHeader', 'x', extension.length))
      await this.#write(extension)
      await this.#write(new Uint8Array(paddingOf(extension.length)))
    }
    await this.#write(formatHeader(path, type, size > MOST_OCTAL ? 0 : size))
    this.#left = size
    this.#padding = paddingOf(size)
  }

  async #endEntry(): Promise<void> {
    if (this.#left > 0) throw new TarError('a file has fewer bytes than its header says')
    if (this.#padding > 0) await this.#write(new Uint8Array(this.#padding))
    this.#padding = 0
  }
}
