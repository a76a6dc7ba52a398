import type { Headers } from './jobs.ts'

/** A request with a body is a PUT. The body has only ASCII characters. */
export function requestText(request: {
  readonly port: number
  readonly path: string
  readonly headers?: Headers
  readonly body?: string
}): string {
  const { port, path, body = '' } = request
  const all = body === '' ? request.headers : { ...request.headers, 'Content-Length': `${body.length}` }
  const headers = Object.entries(all ?? {}).map(([name, value]) => `${name}: ${value}\r\n`)
  const method = body === '' ? 'GET' : 'PUT'
  return `${method} ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n${headers.join('')}\r\n${body}`
}

export interface Head {
  readonly status: number
  /** The Content-Length; undefined when the answer has none. */
  readonly length: number | undefined
  /** The offset at which the body starts. */
  readonly end: number
}

/** Parses the head of an HTTP/1.1 answer; undefined while it is incomplete. */
export function headOf(text: string): Head | undefined {
  const end = text.indexOf('\r\n\r\n')
  if (end < 0) return undefined
  const head = text.slice(0, end)
  const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1]
  return {
    status: Number(head.slice(9, 12)),
    length: length === undefined ? undefined : Number(length),
    end: end + 4,
  }
}
