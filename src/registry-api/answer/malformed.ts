import type { Duplex } from 'node:stream'
import { type ErrorCode, errorBody } from '../../oci/errors.ts'

/** How long a client may go on sending after it was told that its request is wrong. */
const LINGER_MS = 1000

interface Complaint {
  readonly status: '400 Bad Request' | '431 Request Header Fields Too Large'
  readonly code: ErrorCode
  readonly message: string
}

/** What to tell a client whose request the parser gave up on, or that never finished it. Never 408: clients repeat that. */
function complaintAbout(error: NodeJS.ErrnoException): Complaint {
  switch (error.code) {
    case 'HPE_HEADER_OVERFLOW':
      return {
        status: '431 Request Header Fields Too Large',
        code: 'SIZE_INVALID',
        message: 'the request line and headers are too large',
      }
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return { status: '400 Bad Request', code: 'UNSUPPORTED', message: 'the request did not end in time' }
    default:
      return { status: '400 Bad Request', code: 'UNSUPPORTED', message: 'the request is not valid HTTP' }
  }
}

/**
 * Answers a request that never became one, on the bare socket. What the client still sends is taken for a moment, as
 * closing on it would reset the connection and could take the answer along.
 */
export function answerMalformed(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (!socket.writable || error.code === 'ECONNRESET' || error.code === 'EPIPE') {
    socket.destroy()
    return
  }
  const { status, code, message } = complaintAbout(error)
  const body = errorBody(code, message)
  socket.on('error', () => {})
  socket.end(
    `HTTP/1.1 ${status}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n` +
      `Docker-Distribution-API-Version: registry/2.0\r\nConnection: close\r\n\r\n${body.toString('utf8')}`,
  )
  const linger = setTimeout(() => socket.destroy(), LINGER_MS)
  socket.once('end', () => socket.destroy())
  socket.once('close', () => clearTimeout(linger))
  socket.resume()
}
