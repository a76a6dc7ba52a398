import { createHash } from 'node:crypto'
import { connect } from 'node:net'

export interface HttpRequest {
  readonly host: string
  readonly port: number
  readonly path: string
  readonly method?: 'GET' | 'HEAD' | undefined
  readonly headers?: Readonly<Record<string, string>> | undefined
  /** Whether the body is hashed. */
  readonly hash?: boolean | undefined
  /** Whether the body is returned. */
  readonly keep?: boolean | undefined
}

/** Times are milliseconds of `CLOCK_MONOTONIC`, which all processes of the machine share. */
export interface Received {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly bytes: number
  /** Whether as many bytes came as the answer declares. */
  readonly isWhole: boolean
  readonly digest: string | undefined
  readonly body: Buffer | undefined
  readonly startedAt: number
  readonly firstByteAt: number
  readonly endedAt: number
  readonly error: string | undefined
}

const MAX_SILENCE_MS = 120_000
const MAX_HEAD_BYTES = 32_768
/** All sockets share this memory: each read is processed before the next one begins. */
const buffer = Buffer.allocUnsafeSlow(256 * 1024)

export function now(): number {
  return Number(process.hrtime.bigint()) / 1e6
}

/**
 * Sends one request on a connection of its own and receives an answer with a Content-Length. The receiver does as little
 * as it can, because many of them share the processors with the agents that are measured. Never rejects.
 */
export function receive(httpRequest: HttpRequest): Promise<Received> {
  return new Promise((resolve) => {
    const startedAt = now()
    const { method = 'GET' } = httpRequest
    const hash = httpRequest.hash === true ? createHash('sha256') : undefined
    const chunks: Buffer[] = []
    let text = ''
    let head: Head | undefined
    let bytes = 0
    let firstByteAt = Number.NaN
    let error: string | undefined

    const expected = (): number => (method === 'HEAD' ? 0 : (head?.length ?? Number.POSITIVE_INFINITY))
    const onRead = (length: number): boolean => {
      let from = 0
      if (head === undefined) {
        const before = text.length
        text += buffer.toString('latin1', 0, Math.min(length, MAX_HEAD_BYTES))
        head = headOf(text)
        if (head === undefined) return true
        from = head.end - before
      }
      if (length > from && bytes === 0) firstByteAt = now()
      bytes += length - from
      const piece = buffer.subarray(from, length)
      hash?.update(piece)
      if (httpRequest.keep === true) chunks.push(Buffer.from(piece))
      if (bytes >= expected()) socket.destroy()
      return true
    }

    const socket = connect({
      host: httpRequest.host,
      port: httpRequest.port,
      onread: { buffer, callback: onRead },
    })
    socket.setTimeout(MAX_SILENCE_MS, () => socket.destroy(new Error('nothing came for two minutes')))
    socket.on('connect', () => socket.write(requestText(httpRequest, method)))
    socket.on('error', (failure) => {
      error = failure.message
    })
    socket.on('end', () => socket.destroy())
    socket.on('close', () => {
      const isWhole =
        head !== undefined && (bytes === expected() || head.length === undefined) && error === undefined
      resolve({
        status: head?.status ?? 0,
        headers: head?.headers ?? {},
        bytes,
        isWhole,
        digest: hash === undefined ? undefined : `sha256:${hash.digest('hex')}`,
        body: httpRequest.keep === true ? Buffer.concat(chunks) : undefined,
        startedAt,
        firstByteAt,
        endedAt: now(),
        error,
      })
    })
  })
}

function requestText({ host, port, path, headers = {} }: HttpRequest, method: string): string {
  const lines = Object.entries({ Host: `${host}:${port}`, Connection: 'close', ...headers })
  return `${method} ${path} HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`
}

interface Head {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly length: number | undefined
  /** The offset at which the body starts. */
  readonly end: number
}

function headOf(text: string): Head | undefined {
  const end = text.indexOf('\r\n\r\n')
  if (end < 0) return undefined
  const [first = '', ...lines] = text.slice(0, end).split('\r\n')
  const headers = Object.fromEntries(
    lines.map((line) => {
      const colon = line.indexOf(':')
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()]
    }),
  )
  const length = headers['content-length']
  return {
    status: Number(first.split(' ')[1]),
    headers,
    length: length === undefined ? undefined : Number(length),
    end: end + 4,
  }
}
