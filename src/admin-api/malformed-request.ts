import type { Duplex } from 'node:stream'
import { errorAnswer } from './answer.ts'

export const MAX_HEADER_BYTES = 16 * 1024

/** The answers to what is no complete request, by the code of the parser's error. */
const MALFORMED: Readonly<Record<string, readonly [status: string, sentence: string]>> = {
  HPE_HEADER_OVERFLOW: [
    '431 Request Header Fields Too Large',
    `the head of the request has more than ${MAX_HEADER_BYTES} bytes; send shorter headers`,
  ],
  ERR_HTTP_REQUEST_TIMEOUT: [
    '408 Request Timeout',
    'the request did not come in time; send it again, whole and at once',
  ],
}

/** Answers what the parser of HTTP has refused. */
export function answerMalformed(error: Error & { code?: string }, socket: Duplex): void {
  if (!socket.writable || error.code === 'ECONNRESET') {
    socket.destroy()
    return
  }
  const [status, sentence] = MALFORMED[error.code ?? ''] ?? [
    '400 Bad Request',
    'this is no request of HTTP/1.1; send one such as GET /api/v1/status, over TLS only with adminTls',
  ]
  const { body, contentType } = errorAnswer(Number(status.slice(0, 3)), sentence)
  socket.end(
    `HTTP/1.1 ${status}\r\nContent-Type: ${contentType}\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  )
}
