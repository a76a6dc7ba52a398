/** The messages of an exchange are lines: one JSON value each, in UTF-8, with a line feed after it. */
export const MAX_MESSAGE_BYTES = 64 * 1024

const LINE_FEED = 0x0a

export class InvalidLine extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'InvalidLine'
  }
}

export interface ReceivedMessage {
  readonly message: unknown
  /** The size of the JSON text in bytes. */
  readonly length: number
}

export function messageLine(message: object): Buffer {
  const text = JSON.stringify(message)
  const length = Buffer.byteLength(text)
  if (length > MAX_MESSAGE_BYTES) throw new RangeError(`a message of ${length} bytes is too long`)
  return Buffer.from(`${text}\n`)
}

/** Parses messages from chunks of any size. */
export class MessageLines {
  /** The bytes of a line that has no end yet. They are kept in one piece, because a peer may send them one by one. */
  #line = Buffer.alloc(0)
  #length = 0

  /** Gives the messages that these bytes complete. Must not be called again after it has thrown `InvalidLine`. */
  take(bytes: Buffer): ReceivedMessage[] {
    const messages: ReceivedMessage[] = []
    let rest = bytes
    for (let end = rest.indexOf(LINE_FEED); end >= 0; end = rest.indexOf(LINE_FEED)) {
      const line = this.#complete(rest.subarray(0, end))
      rest = rest.subarray(end + 1)
      messages.push({ message: parseJson(line), length: line.length })
    }
    if (rest.length > 0) this.#keep(rest)
    return messages
  }

  /** Gives the line that ends with `part`. */
  #complete(part: Buffer): Buffer {
    if (this.#length === 0) {
      refuseTooLong(part.length)
      return part
    }
    this.#keep(part)
    const line = this.#line.subarray(0, this.#length)
    this.#line = Buffer.alloc(0)
    this.#length = 0
    return line
  }

  #keep(part: Buffer): void {
    const length = this.#length + part.length
    refuseTooLong(length)
    if (length > this.#line.length) {
      const larger = Buffer.alloc(Math.min(MAX_MESSAGE_BYTES, 2 * length))
      this.#line.copy(larger, 0, 0, this.#length)
      this.#line = larger
    }
    part.copy(this.#line, this.#length)
    this.#length = length
  }
}

function refuseTooLong(length: number): void {
  if (length > MAX_MESSAGE_BYTES) throw new InvalidLine('a message is too long')
}

const utf8 = new TextDecoder('utf-8', { fatal: true })

function parseJson(text: Uint8Array): unknown {
  try {
    return JSON.parse(utf8.decode(text))
  } catch {
    throw new InvalidLine('a message is not JSON')
  }
}
