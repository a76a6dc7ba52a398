import type { IncomingMessage } from 'node:http'
import type { ReportRejection } from '../connections/rejections.ts'

/** Nobody here reads a request's body. A small one is let in and dropped, a large one ends the connection. */
export function dropBody(request: IncomingMessage, maxBytes: number, reportRejection: ReportRejection): void {
  const { 'content-length': length, 'transfer-encoding': encoding } = request.headers
  if (encoding === undefined && (length === undefined || length === '0')) return
  let dropped = 0
  const onData = (chunk: Buffer): void => {
    dropped += chunk.length
    if (dropped <= maxBytes) return
    request.off('data', onData)
    reportRejection('body')
    request.socket.destroySoon()
  }
  request.on('data', onData)
  request.on('error', () => {})
}
