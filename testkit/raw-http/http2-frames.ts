/** Frames of HTTP/2 (RFC 9113 section 6) as bytes. Nothing is checked, so that attacks can send invalid frames. */

export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1')

export const TYPE = {
  data: 0,
  headers: 1,
  priority: 2,
  rstStream: 3,
  settings: 4,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const

export const FLAG = { endStream: 1, ack: 1, endHeaders: 4 } as const

export const SETTING = { headerTableSize: 1, maxConcurrentStreams: 3, initialWindowSize: 4 } as const

const HEAD_BYTES = 9
const CANCEL = 8

export interface Frame {
  readonly type: number
  readonly flags: number
  readonly stream: number
  readonly payload: Buffer
}

export function frame(type: number, flags: number, stream: number, payload: Uint8Array): Buffer {
  const bytes = Buffer.alloc(HEAD_BYTES + payload.length)
  bytes.writeUIntBE(payload.length, 0, 3)
  bytes[3] = type
  bytes[4] = flags
  bytes.writeUInt32BE(stream, 5)
  bytes.set(payload, HEAD_BYTES)
  return bytes
}

/** By default with END_HEADERS and END_STREAM. */
export function headers(
  stream: number,
  block: Uint8Array,
  { endStream = true, endHeaders = true }: { endStream?: boolean; endHeaders?: boolean } = {},
): Buffer {
  const flags = (endStream ? FLAG.endStream : 0) | (endHeaders ? FLAG.endHeaders : 0)
  return frame(TYPE.headers, flags, stream, block)
}

export function continuation(
  stream: number,
  block: Uint8Array,
  { endHeaders }: { endHeaders: boolean },
): Buffer {
  return frame(TYPE.continuation, endHeaders ? FLAG.endHeaders : 0, stream, block)
}

export function data(stream: number, bytes: Uint8Array, { endStream }: { endStream: boolean }): Buffer {
  return frame(TYPE.data, endStream ? FLAG.endStream : 0, stream, bytes)
}

export function rstStream(stream: number, code: number = CANCEL): Buffer {
  return frame(TYPE.rstStream, 0, stream, numbers(code))
}

/** Stream 0 is the connection. */
export function windowUpdate(stream: number, increment: number): Buffer {
  return frame(TYPE.windowUpdate, 0, stream, numbers(increment))
}

export function ping(payload: Uint8Array = Buffer.alloc(8), { ack = false } = {}): Buffer {
  return frame(TYPE.ping, ack ? FLAG.ack : 0, 0, payload)
}

export function priority(stream: number, dependsOn: number, weight: number): Buffer {
  return frame(TYPE.priority, 0, stream, Buffer.concat([numbers(dependsOn), Buffer.from([weight])]))
}

export function goaway(lastStream: number, code = 0): Buffer {
  return frame(TYPE.goaway, 0, 0, numbers(lastStream, code))
}

export function settings(values: Readonly<Record<number, number>>): Buffer {
  const entries = Object.entries(values).map(([id, value]) => {
    const entry = Buffer.alloc(6)
    entry.writeUInt16BE(Number(id), 0)
    entry.writeUInt32BE(value, 2)
    return entry
  })
  return frame(TYPE.settings, 0, 0, Buffer.concat(entries))
}

export function settingsAck(): Buffer {
  return frame(TYPE.settings, FLAG.ack, 0, Buffer.alloc(0))
}

function numbers(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(4 * values.length)
  for (const [index, value] of values.entries()) bytes.writeUInt32BE(value, 4 * index)
  return bytes
}

/** Parses frames from chunks of any size. */
export class FrameReader {
  #rest: Buffer = Buffer.alloc(0)

  read(bytes: Buffer): Frame[] {
    const frames: Frame[] = []
    let rest = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes])
    while (rest.length >= HEAD_BYTES) {
      const end = HEAD_BYTES + rest.readUIntBE(0, 3)
      if (rest.length < end) break
      frames.push({
        type: rest[3] ?? 0,
        flags: rest[4] ?? 0,
        stream: rest.readUInt32BE(5) & 0x7fffffff,
        payload: rest.subarray(HEAD_BYTES, end),
      })
      rest = rest.subarray(end)
    }
    this.#rest = rest
    return frames
  }
}
