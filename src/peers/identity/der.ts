/** DER by hand (X.690): the few types that a certificate (RFC 5280) is made of. */

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
/** `[tag]`, around other types. */
export const explicit = (tag: number, ...parts: readonly Uint8Array[]): Buffer => der(0xa0 | tag, ...parts)
/** `[tag]`, in the place of the tag of plain octets or text. */
export const implicit = (tag: number, bytes: Uint8Array): Buffer => der(0x80 | tag, bytes)

/** Not negative; big-endian. */
export function integer(bytes: Uint8Array): Buffer {
  const first = bytes.findIndex((byte) => byte !== 0)
  const least = first === -1 ? Buffer.from([0]) : bytes.subarray(first)
  return (least[0] ?? 0) < 0x80 ? der(0x02, least) : der(0x02, Buffer.from([0]), least)
}

/** `unused` bits at the end of the last byte mean nothing. */
export function bits(bytes: Uint8Array, unused = 0): Buffer {
  return der(0x03, Buffer.from([unused]), bytes)
}

/** RFC 5280, 4.1.2.5: with two digits of the year through 2049, and with four from then on. */
export function time(at: Date): Buffer {
  const digits = `${at.toISOString().replace(/[-:T]/g, '').slice(0, 14)}Z`
  return at.getUTCFullYear() < 2050 ? der(0x17, Buffer.from(digits.slice(2))) : der(0x18, Buffer.from(digits))
}
