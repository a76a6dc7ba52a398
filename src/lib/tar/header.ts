/** The archive is damaged, cut short, or contains what no image contains. The message says what. */
export class TarError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'TarError'
  }
}

export type EntryKind = 'file' | 'directory' | 'symlink' | 'hard link' | 'device' | 'extension' | 'unknown'

/** One header block, as POSIX pax 1003.1 ("ustar Interchange Format") defines it. */
export interface TarHeader {
  readonly path: string
  readonly type: string
  readonly size: number
  readonly linkTarget: string
}

export const BLOCK_BYTES = 512
const CHECKSUM_START = 148
const CHECKSUM_END = 156
const SPACE = 0x20
/** The first bit of a number that GNU tar has written as bytes, because it is too large for octal digits. */
const BINARY_NUMBER = 0x80
const KINDS: Readonly<Record<string, EntryKind>> = {
  '0': 'file',
  '\0': 'file',
  '7': 'file',
  '1': 'hard link',
  '2': 'symlink',
  '3': 'device',
  '4': 'device',
  '5': 'directory',
  '6': 'device',
  x: 'extension',
  g: 'extension',
  L: 'extension',
  K: 'extension',
}

export function kindOf(type: string): EntryKind {
  return KINDS[type] ?? 'unknown'
}

/** undefined for a block of zeros, with which an archive ends. */
export function parseHeader(block: Uint8Array): TarHeader | undefined {
  if (block.every((byte) => byte === 0)) return undefined
  if (numberAt(block, CHECKSUM_START, CHECKSUM_END) !== checksum(block)) {
    throw new TarError('a header has a wrong checksum')
  }
  const isUstar = textAt(block, 257, 262) === 'ustar'
  const prefix = isUstar ? textAt(block, 345, 500) : ''
  const name = textAt(block, 0, 100)
  return {
    path: prefix === '' ? name : `${prefix}/${name}`,
    type: String.fromCharCode(block[156] ?? 0),
    size: numberAt(block, 124, 136),
    linkTarget: textAt(block, 157, 257),
  }
}

/** Makes the block for an entry without owner and time, so that equal content makes equal archives. */
export function formatHeader(
  path: string,
  type: string,
  size: number,
  mode = type === '5' ? 0o755 : 0o644,
): Uint8Array {
  const block = Buffer.alloc(BLOCK_BYTES)
  const fits = Buffer.byteLength(path) <= 100
  block.write(fits ? path : path.slice(0, 100), 0, 100)
  block.write(`${mode.toString(8).padStart(7, '0')}\0`, 100)
  block.write('0000000\0', 108)
  block.write('0000000\0', 116)
  block.write(`${size.toString(8).padStart(11, '0')}\0`, 124)
  block.write('00000000000\0', 136)
  block.write(type, 156)
  block.write('ustar\x0000', 257)
  block.write(`${checksum(block).toString(8).padStart(6, '0')}\0 `, CHECKSUM_START)
  return block
}

/** The records of a pax extended header: `<length> <key>=<value>\n`. */
export function parsePax(bytes: Uint8Array): ReadonlyMap<string, string> {
  const records = new Map<string, string>()
  for (let at = 0; at < bytes.length; ) {
    const space = bytes.indexOf(SPACE, at)
    const length = space < 0 ? Number.NaN : Number(Buffer.from(bytes.subarray(at, space)).toString('latin1'))
    const end = at + length
    if (!Number.isSafeInteger(length) || end > bytes.length || end <= space) {
      throw new TarError('an extended header is malformed')
    }
    const record = Buffer.from(bytes.subarray(space + 1, end - 1)).toString('utf8')
    const equals = record.indexOf('=')
    if (equals <= 0) throw new TarError('an extended header is malformed')
    records.set(record.slice(0, equals), record.slice(equals + 1))
    at = end
  }
  return records
}

export function formatPax(key: string, value: string): Uint8Array {
  const rest = Buffer.byteLength(` ${key}=${value}\n`)
  let length = rest + String(rest).length
  // The length counts its own digits.
  if (String(length).length !== String(rest).length) length = rest + String(length).length
  return Buffer.from(`${length} ${key}=${value}\n`)
}

/** How many bytes follow an entry of this size, up to the next header. */
export function paddingOf(size: number): number {
  return (BLOCK_BYTES - (size % BLOCK_BYTES)) % BLOCK_BYTES
}

function checksum(block: Uint8Array): number {
  let sum = 0
  for (let at = 0; at < BLOCK_BYTES; at++) {
    sum += at >= CHECKSUM_START && at < CHECKSUM_END ? SPACE : (block[at] ?? 0)
  }
  return sum
}

function textAt(block: Uint8Array, start: number, end: number): string {
  const zero = block.indexOf(0, start)
  return Buffer.from(block.subarray(start, zero < 0 || zero > end ? end : zero)).toString('utf8')
}

function numberAt(block: Uint8Array, start: number, end: number): number {
  const first = block[start] ?? 0
  if ((first & BINARY_NUMBER) !== 0) {
    let value = first & ~BINARY_NUMBER
    for (const byte of block.subarray(start + 1, end)) value = value * 256 + byte
    if (!Number.isSafeInteger(value)) throw new TarError('a header has a number that is too large')
    return value
  }
  const digits = textAt(block, start, end).trim()
  if (digits === '') return 0
  if (!/^[0-7]+$/.test(digits)) throw new TarError('a header has a malformed number')
  return Number.parseInt(digits, 8)
}
