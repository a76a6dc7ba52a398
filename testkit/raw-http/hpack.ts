/** Just enough of HPACK (RFC 7541) to ask, to attack, and to read the status of an answer. */

/** Of the static table (appendix A): those of requests. */
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
/** Entries of the dynamic table come after those of the static one; the newest is the first. */
const NEWEST = 62
const FIRST_STATUS = 8
const STATUSES = [200, 204, 206, 304, 400, 404, 500] as const
/** The codes of 0 to 9 (appendix B): three of five bits, the others of six. */
const SHORT_DIGITS = 3
const SIXBIT_THREE = 0b011001

export type Field = readonly [name: string, value: string]

/** An integer with a prefix of so many bits (section 5.1), its first byte begun with `first`. */
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

/** Without a trace in the dynamic table; indexed where the static table has it. */
export function literal([name, value]: Field): Buffer {
  const index = STATIC.get(`${name} ${value}`)
  if (index !== undefined) return integer(0x80, 7, index)
  const known = STATIC_NAMES.get(name)
  return known === undefined
    ? Buffer.concat([Buffer.from([0]), text(name), text(value)])
    : Buffer.concat([integer(0, 4, known), text(value)])
}

/** Put into the dynamic table, so that `newest` can name it. */
export function remembered([name, value]: Field): Buffer {
  return Buffer.concat([Buffer.from([0x40]), text(name), text(value)])
}

/** The newest entry of the dynamic table, so many times: one byte each. */
export function newest(times: number): Buffer {
  return Buffer.alloc(times, 0x80 | NEWEST)
}

export function fieldBlock(fields: readonly Field[]): Buffer {
  return Buffer.concat(fields.map(literal))
}

/**
 * The status that a block of an answer begins with. undefined: it begins with something else. The server must have been
 * told that the dynamic table has no room, so that it never refers to what it has said before.
 */
export function statusOf(block: Uint8Array): number | undefined {
  let at = 0
  // An update of the table's size (section 6.3).
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

/** Three digits in Huffman's code. */
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
