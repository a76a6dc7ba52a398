/** One answer of HTTP/1.1 in the bytes of a connection. */
export interface Answer {
  readonly status: number
  /** The names are in lower case. */
  readonly headers: ReadonlyMap<string, string>
  readonly body: Buffer
  /** Whether the body has the declared length. */
  readonly complete: boolean
}

const HEAD_END = '\r\n\r\n'
const START = 'HTTP/1.1 '

/**
 * Parses all answers that a server has sent. The body of an answer to HEAD is missing, so it is optional there. Fails on
 * bytes that are not an answer, such as bytes after a body of the declared length.
 */
export function answersIn(bytes: Buffer, { mayLackBodies }: { mayLackBodies: boolean }): Answer[] {
  const answers: Answer[] = []
  for (let at = 0; at < bytes.length; ) {
    const end = bytes.indexOf(HEAD_END, at, 'latin1')
    const text = bytes.toString('latin1', at, end < 0 ? bytes.length : end)
    const [line = '', ...fields] = text.split('\r\n')
    const status = /^HTTP\/1\.1 (\d{3})( |$)/.exec(line)?.[1]
    if (status === undefined) throw new Error(`not an answer: ${JSON.stringify(text.slice(0, 200))}`)
    // The answer is cut off in its header.
    if (end < 0) return answers
    const headers = new Map(
      fields.map((field) => {
        const colon = field.indexOf(':')
        return [field.slice(0, colon).toLowerCase(), field.slice(colon + 1).trim()] as const
      }),
    )
    at = end + HEAD_END.length
    if (status === '100') continue
    const { body, next, complete } = bodyAt(bytes, at, {
      headers,
      isEmpty: status === '304' || (mayLackBodies && isNext(bytes, at)),
    })
    answers.push({ status: Number(status), headers, body, complete })
    at = next
  }
  return answers
}

/** Whether another answer begins at the offset, or the bytes end there. */
function isNext(bytes: Buffer, at: number): boolean {
  return at === bytes.length || bytes.toString('latin1', at, at + START.length) === START
}

function bodyAt(
  bytes: Buffer,
  at: number,
  { headers, isEmpty }: { headers: ReadonlyMap<string, string>; isEmpty: boolean },
): { body: Buffer; next: number; complete: boolean } {
  if (isEmpty) return { body: Buffer.alloc(0), next: at, complete: true }
  const length = Number(headers.get('content-length') ?? Number.NaN)
  if (Number.isNaN(length)) throw new Error('an answer does not declare its length')
  const next = Math.min(at + length, bytes.length)
  return { body: bytes.subarray(at, next), next, complete: at + length <= bytes.length }
}
