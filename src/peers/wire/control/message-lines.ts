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
  /** The parts of a line that has no end yet. */
  #parts: Buffer[] = []
  #length = 0

  /** Gives the messages that these bytes complete. Must not be called again after it has thrown `InvalidLine`. */
  take(bytes: Buffer): ReceivedMessage[] {
    const messages: ReceivedMessage[] = []
    let rest = bytes
    for (let end = rest.indexOf(LINE_FEED); end >= 0; end = rest.indexOf(LINE_FEED)) {
      this.#add(rest.subarray(0, end))
      rest = rest.subarray(end + 1)
      const line = this.#parts.length === 1 ? this.#parts[0] : Buffer.concat(this.#parts)
      const length = this.#length
      this.#parts = []
      this.#length = 0
      messages.push({ message: parseJson(line ?? Buffer.alloc(0)), length })
    }
    if (rest.length > 0) this.#add(rest)
    return messages
  }

  #add(part: Buffer): void {
    this.#length += part.length
    if (this.#length > MAX_MESSAGE_BYTES) throw new InvalidLine('a message is too long')
    this.#parts.push(part)
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true })

function parseJson(text: Uint8Array): unknown {
  try {
    return JSON.parse(utf8.decode(text))
  } catch {
    throw new InvalidLine('a message is not JSON')
  }
}
