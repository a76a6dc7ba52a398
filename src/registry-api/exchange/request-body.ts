import type { IncomingMessage } from 'node:http'
import type { ReportRejection } from '../connections/rejections.ts'

/** No endpoint reads a request body. A small body is received and dropped; a large one closes the connection. */
export function discardRequestBody(
  request: IncomingMessage,
  maxBytes: number,
  reportRejection: ReportRejection,
): void {
  const { 'content-length': length, 'transfer-encoding': encoding } = request.headers
  if (encoding === undefined && (length === undefined || length === '0')) return
  let discardedBytes = 0
  const onData = (chunk: Buffer): void => {
    discardedBytes += chunk.length
    if (discardedBytes <= maxBytes) return
    request.off('data', onData)
    reportRejection('body')
    request.socket.destroySoon()
  }
  request.on('data', onData)
  request.on('error', () => {})
}
