import type { BigIntStats } from 'node:fs'
import { open, stat } from 'node:fs/promises'
import { join, posix } from 'node:path'
import { SharedWork } from '../../lib/async/shared-work.ts'
import { BoundedMap } from '../../lib/bounded-map.ts'
import { errorCode } from '../../lib/error-code.ts'
import { TarError } from '../../lib/tar/header.ts'
import { inputFromFile } from '../../lib/tar/inputs.ts'
import { type TarEntry, TarReader } from '../../lib/tar/tar-reader.ts'
import { Failure } from '../../ports/failure.ts'

/** A file, or the range of an archive in which one lies. */
export interface FileRange {
  /** The path of the file or archive. */
  readonly path: string
  /** The path that users know, if `path` is a copy for the time of an import. */
  readonly shownAs?: string
  readonly start: number
  readonly size: number
  /** The version of the file or archive: another one when it was written again. */
  readonly version: string
}

/** The files of a folder, or of a tar archive. */
export interface FileTree {
  readonly path: string
  /** undefined: there is no such file now. */
  find(name: string): Promise<FileRange | undefined>
}

/** An archive with more files holds something else than images. */
const MOST_ENTRIES = 200_000

/** Opens the tree at `path`, which may be a folder or a tar archive, and may become the other. */
export class PathTree implements FileTree {
  readonly path: string
  readonly #file: string
  readonly #indexing = new SharedWork<ReadonlyMap<string, FileRange>>()
  #archive: { readonly version: string; readonly files: ReadonlyMap<string, FileRange> } | undefined

  /** `file`: a copy of what is at `path`, which is read instead. */
  constructor(path: string, file = path) {
    this.path = path
    this.#file = file
  }

  async find(name: string): Promise<FileRange | undefined> {
    const root = await status(this.#file)
    if (root === undefined) throw new Failure('unavailable', `${this.path} does not exist.`)
    if (root.isDirectory()) return fileAt(join(this.#file, name))
    return (await this.#filesOf(versionOf(root))).get(name)
  }

  async #filesOf(version: string): Promise<ReadonlyMap<string, FileRange>> {
    if (this.#archive?.version === version) return this.#archive.files
    const files = await this.#indexing.run(version, () => indexOf(this.path, this.#file, version)).promise
    this.#archive = { version, files }
    return files
  }
}

/** undefined for what is no file. */
export async function fileAt(path: string): Promise<FileRange | undefined> {
  const found = await status(path)
  if (found === undefined || !found.isFile()) return undefined
  return { path, start: 0, size: Number(found.size), version: versionOf(found) }
}

/** Reads a small file whole; what is larger than `most` bytes is refused. */
export async function readRange(
  { path, shownAs = path, start, size }: FileRange,
  most: number,
): Promise<Uint8Array> {
  if (size > most)
    throw new Failure(
      'unavailable',
      `${shownAs} holds a file of ${size} bytes where at most ${most} are expected.`,
    )
  const file = await open(path)
  try {
    const bytes = new Uint8Array(size)
    for (let at = 0; at < size; ) {
      const { bytesRead } = await file.read(bytes, at, size - at, start + at)
      if (bytesRead === 0) throw new Failure('unavailable', `${shownAs} has become shorter.`)
      at += bytesRead
    }
    return bytes
  } finally {
    await file.close()
  }
}

/** Gives the first bytes of a file; all of them if it has fewer than `most`. */
export async function readPrefix(range: FileRange, most: number): Promise<Uint8Array> {
  return readRange({ ...range, size: Math.min(range.size, most) }, most)
}

/** Results that hold as long as a file is the one that was looked at. */
export class PerVersion<Result> {
  readonly #known: BoundedMap<string, { readonly version: string; readonly result: Result }>

  constructor(most: number) {
    this.#known = new BoundedMap(most)
  }

  async get(range: FileRange, make: () => Promise<Result>): Promise<Result> {
    const key = `${range.path}:${range.start}`
    const known = this.#known.get(key)
    if (known?.version === range.version) return known.result
    const result = await make()
    this.#known.set(key, { version: range.version, result })
    return result
  }
}

/** Tells a file from one that was written later at the same path. */
export function versionOf({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string {
  return `${dev}:${ino}:${size}:${mtimeNs}:${ctimeNs}`
}

async function status(path: string): Promise<BigIntStats | undefined> {
  try {
    return await stat(path, { bigint: true })
  } catch (cause) {
    if (['ENOENT', 'ENOTDIR'].includes(errorCode(cause) ?? '')) return undefined
    throw new Failure('unavailable', `${path} cannot be read: ${errorCode(cause) ?? String(cause)}.`, {
      cause,
    })
  }
}

async function indexOf(
  shownAs: string,
  path: string,
  version: string,
): Promise<ReadonlyMap<string, FileRange>> {
  const file = await open(path)
  try {
    const reader = new TarReader(inputFromFile(file))
    const files = new Map<string, FileRange>()
    const links = new Map<string, string>()
    for (let entry = await reader.next(); entry !== undefined; entry = await reader.next()) {
      const { kind, size, start } = entry
      if (files.size + links.size === MOST_ENTRIES)
        throw new TarError(`it has more than ${MOST_ENTRIES} files`)
      if (kind === 'file') files.set(entry.path, { path, shownAs, start, size, version })
      else if (kind === 'symlink' || kind === 'hard link') links.set(entry.path, targetOf(entry))
      else if (kind !== 'directory') throw new TarError(`${JSON.stringify(entry.path)} is a ${kind}`)
    }
    for (const [name, target] of links) {
      const found = files.get(target)
      if (found !== undefined) files.set(name, found)
    }
    return files
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new Failure('unavailable', `${shownAs} cannot be read as a tar archive: ${why}.`, { cause })
  } finally {
    await file.close()
  }
}

/** Docker writes a layer that several images share once, and links to it. */
function targetOf({ path, kind, linkTarget }: TarEntry): string {
  const target = kind === 'hard link' ? linkTarget : posix.join(posix.dirname(path), linkTarget)
  const normal = posix.normalize(target)
  if (linkTarget.startsWith('/') || normal === '..' || normal.startsWith('../')) {
    throw new TarError(`the link ${JSON.stringify(path)} leads out of the archive`)
  }
  return normal
}
