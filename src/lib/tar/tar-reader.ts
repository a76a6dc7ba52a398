import { BLOCK_BYTES, type EntryKind, kindOf, paddingOf, parseHeader, parsePax, TarError } from './header.ts'

/** Where an archive comes from. */
export interface ByteInput {
  /** Fills at least one byte of `target` and gives how many; 0 at the end. */
  read(target: Uint8Array): Promise<number>
  /** Passes over bytes. A file may end before; then the next `read` gives 0. */
  skip(length: number): Promise<void>
}

export interface TarEntry {
  /** Relative, without `.` or `..`. */
  readonly path: string
  readonly kind: EntryKind
  readonly size: number
  readonly linkTarget: string
  /** Where in the archive the content begins. */
  readonly start: number
}

/** A path may have 4096 bytes; extended headers of images have a few times that. */
const MOST_EXTENSION_BYTES = 64 * 1024

/** Reads an archive from its start to its end, one entry after the other; memory does not depend on the archive. */
export class TarReader {
  readonly #input: ByteInput
  readonly #block = new Uint8Array(BLOCK_BYTES)
  #position = 0
  /** Content of the current entry that was not read. */
  #left = 0
  #padding = 0

  constructor(input: ByteInput) {
    this.#input = input
  }

  /** Passes over what is left of the current entry. undefined at the end of the archive. */
  async next(): Promise<TarEntry | undefined> {
    let path: string | undefined
    let linkTarget: string | undefined
    let size: number | undefined
    for (;;) {
      await this.#skip(this.#left + this.#padding)
      await this.#fill(this.#block)
      const header = parseHeader(this.#block)
      if (header === undefined) return this.#end()
      const kind = kindOf(header.type)
      if (kind !== 'extension') {
        this.#left = hasContent(kind) ? (size ?? header.size) : 0
        this.#padding = paddingOf(this.#left)
        return {
          path: checkedPath(path ?? header.path),
          kind,
          size: this.#left,
          linkTarget: linkTarget ?? header.linkTarget,
          start: this.#position,
        }
      }
      const bytes = await this.#readExtension(header.size)
      if (header.type === 'L') path = textOf(bytes)
      else if (header.type === 'K') linkTarget = textOf(bytes)
      else if (header.type === 'x') {
        const records = parsePax(bytes)
        if ([...records.keys()].some((key) => key.startsWith('GNU.sparse.'))) {
          throw new TarError('a sparse file is in the archive')
        }
        path = records.get('path') ?? path
        linkTarget = records.get('linkpath') ?? linkTarget
        size = sizeIn(records) ?? size
      }
    }
  }

  /** Reads from the current entry; 0 at its end. */
  async read(target: Uint8Array): Promise<number> {
    if (this.#left === 0 || target.length === 0) return 0
    const length = Math.min(target.length, this.#left)
    const count = await this.#input.read(target.subarray(0, length))
    if (count === 0) throw cutShort()
    this.#left -= count
    this.#position += count
    return count
  }

  /** All of the current entry. `most` bounds the memory. */
  async readAll(most: number): Promise<Uint8Array> {
    if (this.#left > most) {
      throw new TarError(`a file of ${this.#left} bytes is where one of at most ${most} bytes is expected`)
    }
    const bytes = new Uint8Array(this.#left)
    for (let at = 0; at < bytes.length; ) at += await this.read(bytes.subarray(at))
    return bytes
  }

  async #readExtension(size: number): Promise<Uint8Array> {
    if (size > MOST_EXTENSION_BYTES) throw new TarError(`a header has ${size} bytes`)
    const bytes = new Uint8Array(size)
    await this.#fill(bytes)
    await this.#skip(paddingOf(size))
    return bytes
  }

  /** Reads what follows the end of the archive, so that its writer can end. */
  async #end(): Promise<undefined> {
    while ((await this.#input.read(this.#block)) > 0);
    return undefined
  }

  async #fill(target: Uint8Array): Promise<void> {
    for (let at = 0; at < target.length; ) {
      const count = await this.#input.read(target.subarray(at))
      if (count === 0) throw cutShort()
      at += count
      this.#position += count
    }
    this.#left = 0
    this.#padding = 0
  }

  async #skip(length: number): Promise<void> {
    if (length > 0) await this.#input.skip(length)
    this.#position += length
    this.#left = 0
    this.#padding = 0
  }
}

function hasContent(kind: EntryKind): boolean {
  return kind === 'file' || kind === 'unknown'
}

function sizeIn(records: ReadonlyMap<string, string>): number | undefined {
  const text = records.get('size')
  if (text === undefined) return undefined
  const size = /^\d+$/.test(text) ? Number(text) : Number.NaN
  if (!Number.isSafeInteger(size)) throw new TarError('a header has a malformed size')
  return size
}

function checkedPath(path: string): string {
  const parts = path.split('/').filter((part) => part !== '' && part !== '.')
  if (path.startsWith('/') || parts.includes('..') || path.includes('\0')) {
    throw new TarError(`the name ${JSON.stringify(path)} leads out of the archive`)
  }
  return parts.join('/')
}

function textOf(bytes: Uint8Array): string {
  const zero = bytes.indexOf(0)
  return Buffer.from(zero < 0 ? bytes : bytes.subarray(0, zero)).toString('utf8')
}

function cutShort(): TarError {
  return new TarError('the archive is cut short')
}
