/**
 * What goes over a connection between agents: frames, each with a head of five bytes. The first four are the length of
 * what follows the head (big-endian), the fifth is the kind:
 *
 * - 0, a message: JSON
 * - 1, bytes of a content
 * - 2, over: whoever sends it says nothing more in this exchange. Nothing follows the head.
 */
export const HEAD_BYTES = 5
export const MESSAGE_LIMIT = 64 * 1024
/** Of one frame of bytes, which is read straight into memory: not a limit of a content. */
export const BYTES_LIMIT = 1024 * 1024

const MESSAGE = 0
const BYTES = 1
const OVER = 2

export type Frame =
  /** `length`: of what it was before it was read, in bytes. */
  | { readonly is: 'message'; readonly message: unknown; readonly length: number }
  /** So many bytes of content follow. */
  | { readonly is: 'bytes'; readonly length: number }
  | { readonly is: 'over' }

export class BadFrame extends Error {
  constructor(why: string) {
    super(why)
    this.name = 'BadFrame'
  }
}

export function messageFrame(message: object): Buffer {
  const text = JSON.stringify(message)
  const length = Buffer.byteLength(text)
  if (length > MESSAGE_LIMIT) throw new RangeError(`a message of ${length} bytes is too long`)
  const frame = Buffer.allocUnsafe(HEAD_BYTES + length)
  putHead(frame, length, MESSAGE)
  frame.write(text, HEAD_BYTES)
  return frame
}

/** Writes the head for `length` bytes of content that follow it in `target`. */
export function putBytesHead(target: Uint8Array, length: number): void {
  putHead(target, length, BYTES)
}

export function overFrame(): Buffer {
  const frame = Buffer.allocUnsafe(HEAD_BYTES)
  putHead(frame, 0, OVER)
  return frame
}

function putHead(target: Uint8Array, length: number, kind: number): void {
  target[0] = length >>> 24
  target[1] = length >>> 16
  target[2] = length >>> 8
  target[3] = length
  target[4] = kind
}

/** Puts frames together, whatever pieces they come in. Content is not its business: the caller passes over it. */
export class FrameReader {
  readonly #head = Buffer.alloc(HEAD_BYTES)
  #headLength = 0
  #text: Buffer | undefined
  #textLength = 0

  /** Of the head that comes next or is coming; 0 within a message. */
  get missingHead(): number {
    return this.#text === undefined ? HEAD_BYTES - this.#headLength : 0
  }

  /** Takes what it can up to the end of one frame. Throws `BadFrame`, and is of no more use then. */
  take(bytes: Uint8Array): { readonly used: number; readonly frame: Frame | undefined } {
    let used = 0
    if (this.#text === undefined) {
      used = this.#takeHead(bytes)
      if (this.#headLength < HEAD_BYTES) return { used, frame: undefined }
      const frame = this.#onHead()
      if (frame !== undefined) return { used, frame }
    }
    const rest = this.#takeText(bytes.subarray(used))
    return { used: used + rest.used, frame: rest.frame }
  }

  #takeHead(bytes: Uint8Array): number {
    const part = bytes.subarray(0, HEAD_BYTES - this.#headLength)
    this.#head.set(part, this.#headLength)
    this.#headLength += part.length
    return part.length
  }

  #onHead(): Frame | undefined {
    this.#headLength = 0
    const length = this.#head.readUInt32BE(0)
    switch (this.#head[4]) {
      case MESSAGE:
        if (length > MESSAGE_LIMIT) throw new BadFrame('a message that is too long')
        this.#text = Buffer.allocUnsafe(length)
        this.#textLength = 0
        return undefined
      case BYTES:
        // Without any, frames could go on for ever and bring nothing.
        if (length === 0 || length > BYTES_LIMIT) throw new BadFrame('bytes of a length that is not allowed')
        return { is: 'bytes', length }
      case OVER:
        if (length !== 0) throw new BadFrame('more after the end')
        return { is: 'over' }
      default:
        throw new BadFrame('something of an unknown kind')
    }
  }

  #takeText(bytes: Uint8Array): { used: number; frame: Frame | undefined } {
    const text = this.#text ?? Buffer.alloc(0)
    const part = bytes.subarray(0, text.length - this.#textLength)
    text.set(part, this.#textLength)
    this.#textLength += part.length
    if (this.#textLength < text.length) return { used: part.length, frame: undefined }
    this.#text = undefined
    return { used: part.length, frame: { is: 'message', message: parseJson(text), length: text.length } }
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true })

function parseJson(text: Uint8Array): unknown {
  try {
    return JSON.parse(utf8.decode(text))
  } catch {
    throw new BadFrame('a message that is not JSON')
  }
}
