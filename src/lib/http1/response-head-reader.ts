import { endOfHead, InvalidHeadError, parseResponseHead, type ResponseHead } from './response-head.ts'

/** Four times what Node's HTTP parser accepts by default, for redirects with long signed URLs. */
const HEAD_LIMIT = 64 * 1024
/** A server that sends more interim responses than this before the final one is treated as broken. */
const MOST_INTERIM = 8

/** Collects the head of a response from reads of any size, and skips interim responses (RFC 9110, 15.2). */
export class ResponseHeadReader {
  /** The first part of a head that does not come in one read. */
  #part: Buffer | undefined
  #partLength = 0
  #interimCount = 0

  /** Prepares for the response to another request. */
  reset(): void {
    this.#partLength = 0
    this.#interimCount = 0
  }

  /** Takes bytes up to the end of a head. `head` is the final head, once it is complete. */
  take(bytes: Buffer): { taken: number; head: ResponseHead | undefined } {
    const before = this.#partLength
    const text = before === 0 ? bytes : this.#append(bytes)
    const end = endOfHead(text, before)
    if (end > HEAD_LIMIT || (end < 0 && text.length > HEAD_LIMIT)) throw new InvalidHeadError('too long')
    if (end < 0) {
      if (before === 0) this.#append(bytes)
      return { taken: bytes.length, head: undefined }
    }
    this.#part = undefined
    this.#partLength = 0
    const head = parseResponseHead(text.subarray(0, end))
    return { taken: end - before, head: this.#isInterim(head) ? undefined : head }
  }

  /** Copies bytes behind the part, because their memory is reused. A part of `HEAD_LIMIT + 1` bytes is already too long. */
  #append(bytes: Buffer): Buffer {
    this.#part ??= Buffer.allocUnsafeSlow(HEAD_LIMIT + 1)
    this.#partLength += bytes.copy(this.#part, this.#partLength)
    return this.#part.subarray(0, this.#partLength)
  }

  #isInterim({ status }: ResponseHead): boolean {
    if (status >= 200) return false
    this.#interimCount += 1
    if (status === 101) throw new InvalidHeadError('a switch of protocols that was not asked for')
    if (this.#interimCount > MOST_INTERIM) throw new InvalidHeadError('too many interim responses')
    return true
  }
}
