/** Encodes in DER (X.690) the few types that a certificate (RFC 5280) consists of. */

function der(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(parts)
  return Buffer.concat([Buffer.from([tag, ...lengthOf(body.length)]), body])
}

function lengthOf(length: number): number[] {
  if (length < 0x80) return [length]
  return length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
}

export const sequence = (...parts: readonly Uint8Array[]): Buffer => der(0x30, ...parts)
export const set = (...parts: readonly Uint8Array[]): Buffer => der(0x31, ...parts)
export const oid = (hex: string): Buffer => der(0x06, Buffer.from(hex, 'hex'))
export const octets = (...parts: readonly Uint8Array[]): Buffer => der(0x04, ...parts)
export const utf8 = (text: string): Buffer => der(0x0c, Buffer.from(text))
export const boolean = (value: boolean): Buffer => der(0x01, Buffer.from([value ? 0xff : 0]))
/** Wraps other values in an explicit tag. */
export const explicit = (tag: number, ...parts: readonly Uint8Array[]): Buffer => der(0xa0 | tag, ...parts)
/** Encodes octets or text with an implicit tag in place of their own. */
export const implicit = (tag: number, bytes: Uint8Array): Buffer => der(0x80 | tag, bytes)

/** Encodes an unsigned big-endian number. */
export function integer(bytes: Uint8Array): Buffer {
  const first = bytes.findIndex((byte) => byte !== 0)
  const magnitude = first === -1 ? Buffer.from([0]) : bytes.subarray(first)
  // A leading zero byte keeps a number with its highest bit set from being read as negative.
  return (magnitude[0] ?? 0) < 0x80 ? der(0x02, magnitude) : der(0x02, Buffer.from([0]), magnitude)
}

/** Encodes a bit string; the last `unused` bits of its last byte do not belong to it. */
export function bits(bytes: Uint8Array, unused = 0): Buffer {
  return der(0x03, Buffer.from([unused]), bytes)
}

/** RFC 5280, 4.1.2.5: the year has two digits through 2049, and four digits from 2050. */
export function time(at: Date): Buffer {
  const digits = `${at.toISOString().replace(/[-:T]/g, '').slice(0, 14)}Z`
  return at.getUTCFullYear() < 2050 ? der(0x17, Buffer.from(digits.slice(2))) : der(0x18, Buffer.from(digits))
}
