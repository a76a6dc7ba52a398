/** As much of HPACK (RFC 7541) as is needed to send requests and attacks, and to read the status of an answer. */

/** The entries of the static table (appendix A) for requests. */
const STATIC = new Map([
  [':method GET', 2],
  [':method POST', 3],
  [':path /', 4],
  [':scheme http', 6],
  [':scheme https', 7],
])
const STATIC_NAMES = new Map([
  [':authority', 1],
  [':method', 2],
  [':path', 4],
  [':scheme', 6],
  ['content-length', 28],
  ['cookie', 32],
  ['host', 38],
  ['if-match', 39],
  ['if-none-match', 41],
  ['if-range', 42],
  ['range', 50],
])
/** The index of the newest entry of the dynamic table, which follows the static table. */
const NEWEST = 62
const FIRST_STATUS = 8
const STATUSES = [200, 204, 206, 304, 400, 404, 500] as const
/** The Huffman codes of the digits (appendix B): three have five bits, the others have six. */
const SHORT_DIGITS = 3
const SIXBIT_THREE = 0b011001

export type Field = readonly [name: string, value: string]

/** An integer with a prefix of so many bits (section 5.1). `first` holds the other bits of the first byte. */
function integer(first: number, bits: number, value: number): Buffer {
  const most = 2 ** bits - 1
  if (value < most) return Buffer.from([first | value])
  const bytes = [first | most]
  let rest = value - most
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) | 0x80)
  bytes.push(rest)
  return Buffer.from(bytes)
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value, 'latin1')
  return Buffer.concat([integer(0, 7, bytes.length), bytes])
}

/** A field that is not added to the dynamic table, and is indexed if the static table has it. */
export function literal([name, value]: Field): Buffer {
  const index = STATIC.get(`${name} ${value}`)
  if (index !== undefined) return integer(0x80, 7, index)
  const known = STATIC_NAMES.get(name)
  return known === undefined
    ? Buffer.concat([Buffer.from([0]), text(name), text(value)])
    : Buffer.concat([integer(0, 4, known), text(value)])
}

/** A field that is added to the dynamic table, so that `newest` can refer to it. */
export function remembered([name, value]: Field): Buffer {
  return Buffer.concat([Buffer.from([0x40]), text(name), text(value)])
}

/** References to the newest entry of the dynamic table, of one byte each. */
export function newest(times: number): Buffer {
  return Buffer.alloc(times, 0x80 | NEWEST)
}

export function fieldBlock(fields: readonly Field[]): Buffer {
  return Buffer.concat(fields.map(literal))
}

/**
 * The status at the start of a header block; undefined if the block starts with something else. The client must have set
 * the size of the dynamic table to zero, so that the server does not refer to earlier fields.
 */
export function statusOf(block: Uint8Array): number | undefined {
  let at = 0
  // The block may start with a dynamic table size update (section 6.3).
  while (((block[at] ?? 0) & 0xe0) === 0x20) {
    if (block[at] === 0x3f)
      do at += 1
      while (((block[at] ?? 0) & 0x80) !== 0)
    at += 1
  }
  const first = block[at] ?? 0
  if ((first & 0x80) !== 0) return STATUSES[(first & 0x7f) - FIRST_STATUS]
  const name = first & ((first & 0x40) !== 0 ? 0x3f : 0x0f)
  if (name < FIRST_STATUS || name >= FIRST_STATUS + STATUSES.length) return undefined
  const length = block[at + 1] ?? 0
  const value = block.subarray(at + 2, at + 2 + (length & 0x7f))
  return (length & 0x80) === 0 ? Number(Buffer.from(value).toString('latin1')) : packedDigits(value)
}

/** Decodes three digits in the Huffman code. */
function packedDigits(bytes: Uint8Array): number | undefined {
  const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, '0')).join('')
  let at = 0
  let value = 0
  for (let digit = 0; digit < 3; digit += 1) {
    const short = Number.parseInt(bits.slice(at, at + 5), 2)
    const isShort = short < SHORT_DIGITS
    const found = isShort ? short : Number.parseInt(bits.slice(at, at + 6), 2) - SIXBIT_THREE + SHORT_DIGITS
    if (!(found >= 0 && found <= 9)) return undefined
    value = value * 10 + found
    at += isShort ? 5 : 6
  }
  return value
}
