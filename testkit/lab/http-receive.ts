import { createHash } from 'node:crypto'
import { connect } from 'node:net'

export interface Asking {
  readonly host: string
  readonly port: number
  readonly path: string
  readonly method?: 'GET' | 'HEAD' | undefined
  readonly headers?: Readonly<Record<string, string>> | undefined
  /** Hash the body. */
  readonly hash?: boolean | undefined
  /** Give the body back. */
  readonly keep?: boolean | undefined
}

/** Times are milliseconds of `CLOCK_MONOTONIC`, which all processes of the machine share. */
export interface Received {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly bytes: number
  /** As much as was declared. */
  readonly whole: boolean
  readonly digest: string | undefined
  readonly body: Buffer | undefined
  readonly startedAt: number
  readonly firstByteAt: number
  readonly endedAt: number
  readonly error: string | undefined
}

const SILENT_AT_MOST_MS = 120_000
const HEAD_AT_MOST = 32_768
/** All sockets read into the same memory: a piece is done with before the next one is read. */
const buffer = Buffer.allocUnsafeSlow(256 * 1024)

export function now(): number {
  return Number(process.hrtime.bigint()) / 1e6
}

/**
 * One request on a connection of its own, answered with a Content-Length; about the lightest receiver there can be, as
 * many of them share the machine with what is measured. Never rejects.
 */
export function receive(asking: Asking): Promise<Received> {
  return new Promise((resolve) => {
    const startedAt = now()
    const { method = 'GET' } = asking
    const hash = asking.hash === true ? createHash('sha256') : undefined
    const kept: Buffer[] = []
    let text = ''
    let head: Head | undefined
    let bytes = 0
    let firstByteAt = Number.NaN
    let error: string | undefined

    const expected = (): number => (method === 'HEAD' ? 0 : (head?.length ?? Number.POSITIVE_INFINITY))
    const take = (length: number): boolean => {
      let from = 0
      if (head === undefined) {
        const before = text.length
        text += buffer.toString('latin1', 0, Math.min(length, HEAD_AT_MOST))
        head = headOf(text)
        if (head === undefined) return true
        from = head.end - before
      }
      if (length > from && bytes === 0) firstByteAt = now()
      bytes += length - from
      const piece = buffer.subarray(from, length)
      hash?.update(piece)
      if (asking.keep === true) kept.push(Buffer.from(piece))
      if (bytes >= expected()) socket.destroy()
      return true
    }

    const socket = connect({ host: asking.host, port: asking.port, onread: { buffer, callback: take } })
    socket.setTimeout(SILENT_AT_MOST_MS, () => socket.destroy(new Error('nothing came for two minutes')))
    socket.on('connect', () => socket.write(requestText(asking, method)))
    socket.on('error', (failure) => {
      error = failure.message
    })
    socket.on('end', () => socket.destroy())
    socket.on('close', () => {
      const whole =
        head !== undefined && (bytes === expected() || head.length === undefined) && error === undefined
      resolve({
        status: head?.status ?? 0,
        headers: head?.headers ?? {},
        bytes,
        whole,
        digest: hash === undefined ? undefined : `sha256:${hash.digest('hex')}`,
        body: asking.keep === true ? Buffer.concat(kept) : undefined,
        startedAt,
        firstByteAt,
        endedAt: now(),
        error,
      })
    })
  })
}

function requestText({ host, port, path, headers = {} }: Asking, method: string): string {
  const lines = Object.entries({ Host: `${host}:${port}`, Connection: 'close', ...headers })
  return `${method} ${path} HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`
}

interface Head {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly length: number | undefined
  /** Where the body starts. */
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
