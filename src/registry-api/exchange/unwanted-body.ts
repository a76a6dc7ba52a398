import type { IncomingMessage } from 'node:http'
import type { ReportRejection } from '../connections/rejections.ts'

export interface UnwantedBodyLimits {
  /** The most bytes that are received and dropped. */
  readonly maxBytes: number
  /** The longest time in which they may come. */
  readonly deadlineMs: number
}

/**
 * Receives and drops what is left of a body that no endpoint wants, so that the next request of the connection can follow.
 * Calls `onExceeded` once when the body is too large or too slow for that.
 */
export function dropBody(
  request: IncomingMessage,
  { maxBytes, deadlineMs }: UnwantedBodyLimits,
  { reportRejection, onExceeded }: { reportRejection: ReportRejection; onExceeded: () => void },
): void {
  const { socket } = request
  if (request.readableEnded || socket.destroyed) return
  let droppedBytes = 0
  const stop = (): void => {
    clearTimeout(deadline)
    request.off('data', onData)
    request.off('end', stop)
    socket.off('close', stop)
  }
  const exceed = (): void => {
    stop()
    reportRejection('body')
    onExceeded()
  }
  const onData = (chunk: Buffer): void => {
    droppedBytes += chunk.length
    if (droppedBytes > maxBytes) exceed()
  }
  const deadline = setTimeout(exceed, deadlineMs)
  request.on('end', stop)
  // After the answer the request itself learns nothing of the end of its connection.
  socket.on('close', stop)
  request.on('error', ignore)
  request.on('data', onData)
  request.resume()
}

// The `close` event is enough.
function ignore(): void {}
