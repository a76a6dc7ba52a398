import type { Duplex } from 'node:stream'
import { errorBody, type OciErrorCode } from '../../oci/errors.ts'
import { closeGently } from './gentle-close.ts'

interface ParserErrorAnswer {
  readonly status: '400 Bad Request' | '431 Request Header Fields Too Large'
  readonly code: OciErrorCode
  readonly message: string
}

/** The answer to an error of Node's HTTP parser. Never 408, because clients repeat the request after it. */
function answerFor(error: NodeJS.ErrnoException): ParserErrorAnswer {
  switch (error.code) {
    case 'HPE_HEADER_OVERFLOW':
      return {
        status: '431 Request Header Fields Too Large',
        code: 'SIZE_INVALID',
        message: 'the request line and headers are too large',
      }
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return {
        status: '400 Bad Request',
        code: 'UNSUPPORTED',
        message: 'timed out waiting for the complete request',
      }
    default:
      return { status: '400 Bad Request', code: 'UNSUPPORTED', message: 'the request is not valid HTTP' }
  }
}

/** Answers a request that the parser has rejected, directly on the socket, and closes it. */
export function answerMalformed(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (!socket.writable || error.code === 'ECONNRESET' || error.code === 'EPIPE') {
    socket.destroy()
    return
  }
  const { status, code, message } = answerFor(error)
  const body = errorBody(code, message)
  socket.write(
    `HTTP/1.1 ${status}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n` +
      `Docker-Distribution-API-Version: registry/2.0\r\nConnection: close\r\n\r\n${body.toString('utf8')}`,
  )
  closeGently(socket)
}
