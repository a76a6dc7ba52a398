/**
 * The format of a connection between agents: frames, each with a head of five bytes. The first four are the length of
 * what follows the head (big-endian), the fifth is the kind:
 *
 * - 0, a message in JSON
 * - 1, bytes of a content
 * - 2, the end: the sender says nothing more in this exchange. Nothing follows the head.
 */
export const FRAME_HEAD_BYTES = 5
export const MAX_MESSAGE_BYTES = 64 * 1024
/** Bounds one frame, not a content, which may take many frames. */
export const MAX_CONTENT_FRAME_BYTES = 1024 * 1024

const MESSAGE = 0
const CONTENT = 1
const END = 2

export type Frame =
  /** `length` is the size of the JSON text in bytes. */
  | { readonly kind: 'message'; readonly message: unknown; readonly length: number }
  /** The head of a content frame. `length` bytes of content follow it. */
  | { readonly kind: 'content'; readonly length: number }
  | { readonly kind: 'end' }

export class InvalidFrame extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'InvalidFrame'
  }
}

export function messageFrame(message: object): Buffer {
  const text = JSON.stringify(message)
  const length = Buffer.byteLength(text)
  if (length > MAX_MESSAGE_BYTES) throw new RangeError(`a message of ${length} bytes is too long`)
  const frame = Buffer.allocUnsafe(FRAME_HEAD_BYTES + length)
  writeHead(frame, length, MESSAGE)
  frame.write(text, FRAME_HEAD_BYTES)
  return frame
}

/** Writes the head for `length` bytes of content that follow it in `target`. */
export function writeContentHead(target: Uint8Array, length: number): void {
  writeHead(target, length, CONTENT)
}

export function endFrame(): Buffer {
  const frame = Buffer.allocUnsafe(FRAME_HEAD_BYTES)
  writeHead(frame, 0, END)
  return frame
}

function writeHead(target: Uint8Array, length: number, kind: number): void {
  target[0] = length >>> 24
  target[1] = length >>> 16
  target[2] = length >>> 8
  target[3] = length
  target[4] = kind
}

/** Parses frames from chunks of any size. After the head of a content frame the caller consumes the content itself. */
export class FrameReader {
  readonly #head = Buffer.alloc(FRAME_HEAD_BYTES)
  #headLength = 0
  #text: Buffer | undefined
  #textLength = 0

  /** How many bytes the current head still lacks; 0 while a message is being read. */
  get missingHeadBytes(): number {
    return this.#text === undefined ? FRAME_HEAD_BYTES - this.#headLength : 0
  }

  /** Takes bytes up to the end of one frame. Must not be called again after it has thrown `InvalidFrame`. */
  take(bytes: Uint8Array): { readonly used: number; readonly frame: Frame | undefined } {
    let used = 0
    if (this.#text === undefined) {
      used = this.#takeHead(bytes)
      if (this.#headLength < FRAME_HEAD_BYTES) return { used, frame: undefined }
      const frame = this.#parseHead()
      if (frame !== undefined) return { used, frame }
    }
    const rest = this.#takeText(bytes.subarray(used))
    return { used: used + rest.used, frame: rest.frame }
  }

  #takeHead(bytes: Uint8Array): number {
    const part = bytes.subarray(0, FRAME_HEAD_BYTES - this.#headLength)
    this.#head.set(part, this.#headLength)
    this.#headLength += part.length
    return part.length
  }

  #parseHead(): Frame | undefined {
    this.#headLength = 0
    const length = this.#head.readUInt32BE(0)
    switch (this.#head[4]) {
      case MESSAGE:
        if (length > MAX_MESSAGE_BYTES) throw new InvalidFrame('a message is too long')
        this.#text = Buffer.allocUnsafe(length)
        this.#textLength = 0
        return undefined
      case CONTENT:
        // Empty frames are invalid, or a peer could send them endlessly and count as active.
        if (length === 0 || length > MAX_CONTENT_FRAME_BYTES) {
          throw new InvalidFrame('a content frame has an invalid length')
        }
        return { kind: 'content', length }
      case END:
        if (length !== 0) throw new InvalidFrame('an end frame is not empty')
        return { kind: 'end' }
      default:
        throw new InvalidFrame('a frame is of an unknown kind')
    }
  }

  #takeText(bytes: Uint8Array): { used: number; frame: Frame | undefined } {
    const text = this.#text ?? Buffer.alloc(0)
    const part = bytes.subarray(0, text.length - this.#textLength)
    text.set(part, this.#textLength)
    this.#textLength += part.length
    if (this.#textLength < text.length) return { used: part.length, frame: undefined }
    this.#text = undefined
    return { used: part.length, frame: { kind: 'message', message: parseJson(text), length: text.length } }
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true })

function parseJson(text: Uint8Array): unknown {
  try {
    return JSON.parse(utf8.decode(text))
  } catch {
    throw new InvalidFrame('a message is not JSON')
  }
}
