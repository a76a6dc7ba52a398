import { createReadStream } from 'node:fs'
import { type FileHandle, mkdtemp, open, rm, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import * as zlib from 'node:zlib'
import { paddingOf, TarError } from '../../lib/tar/header.ts'
import { inputFromChunks } from '../../lib/tar/inputs.ts'
import { type ByteInput, TarReader } from '../../lib/tar/tar-reader.ts'
import { Failure } from '../../ports/failure.ts'
import { fileAt, readPrefix } from '../../sources/files/file-tree.ts'

/** A decompressed copy of an archive. */
export interface DecompressedArchive {
  readonly path: string
  remove(): Promise<void>
}

type Compression = 'gzip' | 'zstd'

/** The first bytes of compressed data (RFC 1952, RFC 8878). */
const MAGIC: Readonly<Record<Compression, Buffer>> = {
  gzip: Buffer.from([0x1f, 0x8b]),
  zstd: Buffer.from([0x28, 0xb5, 0x2f, 0xfd]),
}
const PIECE_BYTES = 1024 * 1024
/** Larger chunks of decompressed bytes are not faster. */
const CHUNK_BYTES = 256 * 1024
/** The same limit as for an archive that is not compressed. */
const MAX_ENTRIES = 200_000
/** What an archive may have besides the content of its files: extended headers, and what fills its last record. */
const MAX_REST_BYTES = 1024 * 1024
/** What one byte can stand for, at most: of deflated data (RFC 1951), and of a zstd block, which has 128 KiB in four bytes. */
const MAX_EXPANSION: Readonly<Record<Compression, number>> = { gzip: 1032, zstd: 32_768 }

/** Undefined: the file is not compressed, or there is none. */
export async function compressionOf(path: string): Promise<Compression | undefined> {
  const file = await fileAt(path)
  if (file === undefined) return undefined
  const start = await readPrefix(file, MAGIC.zstd.length)
  if (MAGIC.zstd.equals(start)) return 'zstd'
  return MAGIC.gzip.equals(start.subarray(0, MAGIC.gzip.length)) ? 'gzip' : undefined
}

/**
 * Writes a decompressed copy of an archive into a folder of its own below `folder`, because images are read at any position.
 * What the headers of its files declare bounds the size of the copy: an archive that declares more than there is room for, or
 * than its compressed bytes can hold, or that goes on after its end, is refused at once.
 */
export async function decompress(
  path: string,
  compression: Compression,
  { folder, signal }: { readonly folder: string; readonly signal: AbortSignal },
): Promise<DecompressedArchive> {
  const decompressor = createDecompressor(path, compression)
  const own = await mkdtemp(join(folder, 'leat-')).catch((cause: unknown) => {
    throw new Failure('disk', `Nothing can be written to ${folder}. Set TMPDIR to another folder.`, { cause })
  })
  const remove = (): Promise<void> => rm(own, { recursive: true, force: true })
  try {
    const copy = join(own, 'archive.tar')
    const { bavail, bsize } = await statfs(own)
    const compressedBytes = (await fileAt(path))?.size ?? 0
    const mostBytes = Math.min(bavail * bsize, compressedBytes * MAX_EXPANSION[compression])
    await write(path, copy, { decompressor, mostBytes, signal })
    return { path: copy, remove }
  } catch (cause) {
    await remove()
    signal.throwIfAborted()
    if (cause instanceof Failure) throw cause
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new Failure('unavailable', `${path} cannot be decompressed into ${folder}: ${why}.`, { cause })
  }
}

/** The types of Node 20 do not have zstd. */
function createDecompressor(path: string, compression: Compression): Duplex {
  if (compression === 'gzip') return zlib.createGunzip({ chunkSize: CHUNK_BYTES })
  const create: unknown = Reflect.get(zlib, 'createZstdDecompress')
  if (typeof create !== 'function') {
    throw new Failure(
      'unsupported',
      `${path} is compressed with zstd, which needs Node 22.15 or newer, and this is ${process.version}. Decompress it with \`zstd -d\` first.`,
    )
  }
  return (create as (options: { chunkSize: number }) => Duplex)({ chunkSize: CHUNK_BYTES })
}

async function write(
  path: string,
  copy: string,
  {
    decompressor,
    mostBytes,
    signal,
  }: { readonly decompressor: Duplex; readonly mostBytes: number; readonly signal: AbortSignal },
): Promise<void> {
  const reading = pipeline(createReadStream(path, { highWaterMark: PIECE_BYTES }), decompressor, { signal })
  // A failure reaches whoever reads what is decompressed.
  reading.catch(() => {})
  const file = await open(copy, 'wx', 0o600)
  try {
    await copyArchive(inputFromChunks(decompressor), file, mostBytes)
    await reading
  } finally {
    decompressor.destroy()
    await file.close()
  }
}

async function copyArchive(input: ByteInput, file: FileHandle, mostBytes: number): Promise<void> {
  const copying = new CopyingInput(input, file)
  const reader = new TarReader(copying)
  let declaredBytes = 0
  let entries = 0
  for (let entry = await reader.next(); entry !== undefined; entry = await reader.next()) {
    entries += 1
    if (entries > MAX_ENTRIES) throw new TarError(`it has more than ${MAX_ENTRIES} files`)
    declaredBytes += entry.size
    if (declaredBytes > mostBytes) {
      throw new TarError(
        `its files have ${declaredBytes} bytes and more, but ${mostBytes} are what it can hold, or what there is room for`,
      )
    }
    copying.allow(entry.size + paddingOf(entry.size))
  }
}

/** Writes every byte that is read or passed over into a file. */
class CopyingInput implements ByteInput {
  readonly #input: ByteInput
  readonly #file: FileHandle
  readonly #piece = new Uint8Array(PIECE_BYTES)
  #left = MAX_REST_BYTES

  constructor(input: ByteInput, file: FileHandle) {
    this.#input = input
    this.#file = file
  }

  /** `bytes` more may be read. */
  allow(bytes: number): void {
    this.#left += bytes
  }

  async read(target: Uint8Array): Promise<number> {
    const count = await this.#input.read(target)
    this.#left -= count
    if (this.#left < 0) throw new TarError('it goes on after its last file')
    for (let at = 0; at < count; ) at += (await this.#file.write(target, at, count - at)).bytesWritten
    return count
  }

  async skip(length: number): Promise<void> {
    for (let left = length; left > 0; ) {
      const count = await this.read(this.#piece.subarray(0, Math.min(left, PIECE_BYTES)))
      if (count === 0) return
      left -= count
    }
  }
}
