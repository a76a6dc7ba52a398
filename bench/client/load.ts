import { connect, type Socket } from 'node:net'
import { headOf, requestText } from './http.ts'
import { type Load, type Loaded, now } from './jobs.ts'
import { Latencies } from './latencies.ts'

const buffer = Buffer.allocUnsafeSlow(1 << 20)

/** Sends requests over kept-alive HTTP/1.1 connections, one at a time on each. */
export async function load(job: Load): Promise<Loaded> {
  const texts = job.requests.map((request) => requestText({ port: job.port, ...request }))
  const connections = await Promise.all(Array.from({ length: job.connections }, () => open(job.port)))
  try {
    return job.rate === undefined
      ? await asFastAsAnswered(job, texts, connections)
      : await atRate(job, job.rate, texts, connections)
  } finally {
    for (const connection of connections) connection.socket.destroy()
  }
}

interface Connection {
  readonly socket: Socket
  /** Called with the status of each answer, 0 when the connection was lost. */
  answered: (status: number) => void
}

function open(port: number): Promise<Connection> {
  return new Promise((resolve, reject) => {
    let head = ''
    let missing = 0
    let status = 0
    const take = (length: number): boolean => {
      if (missing > 0) {
        missing -= length
      } else {
        const before = head.length
        head += buffer.toString('latin1', 0, Math.min(length, 16_384))
        const parsed = headOf(head)
        if (parsed === undefined) return true
        head = ''
        status = parsed.status
        missing = (parsed.length ?? 0) - (length - (parsed.end - before))
      }
      if (missing <= 0) connection.answered(status)
      return true
    }
    const socket = connect({ host: '127.0.0.1', port, noDelay: true, onread: { buffer, callback: take } })
    const connection: Connection = { socket, answered: () => {} }
    socket.once('connect', () => resolve(connection))
    socket.on('error', reject)
    socket.on('close', () => connection.answered(0))
  })
}

function asFastAsAnswered(
  job: Load,
  texts: readonly string[],
  connections: readonly Connection[],
): Promise<Loaded> {
  return new Promise((resolve) => {
    const startedAt = now()
    const latencies = new Latencies()
    const most = 'requests' in job.until ? job.until.requests : Infinity
    const endAt = 'ms' in job.until ? startedAt + job.until.ms : Infinity
    let sent = 0
    let failed = 0
    let open = connections.length

    for (const connection of connections) {
      let sentAt = 0
      const next = (): void => {
        if (sent >= most || now() >= endAt) {
          finish()
          return
        }
        sentAt = now()
        connection.socket.write(texts[sent++ % texts.length] ?? '', 'latin1')
      }
      const finish = (): void => {
        connection.answered = () => {}
        if (--open === 0) resolve(latencies.summary(now() - startedAt, failed))
      }
      connection.answered = (status) => {
        latencies.add(now() - sentAt)
        if (status !== 200 && status !== 201 && status !== 206) failed++
        if (status === 0) finish()
        else next()
      }
      next()
    }
  })
}

/**
 * Sends requests at a fixed rate. The latency counts from when a request was due, so a pause of the server counts for all
 * requests that became due meanwhile; a loader that waits for answers would send fewer requests and hide the pause. It does
 * not sleep, because the millisecond of a timer is of the order of the latencies.
 */
function atRate(
  job: Load,
  rate: number,
  texts: readonly string[],
  connections: readonly Connection[],
): Promise<Loaded> {
  return new Promise((resolve) => {
    const total = 'requests' in job.until ? job.until.requests : Math.floor((job.until.ms / 1000) * rate)
    const startedAt = now()
    const latencies = new Latencies()
    const idle = [...connections]
    let sent = 0
    let answered = 0
    let failed = 0

    const turn = (): void => {
      const time = now()
      while (sent < total && idle.length > 0) {
        const due = startedAt + (sent * 1000) / rate
        if (due > time) break
        const connection = idle.pop()
        if (connection === undefined) break
        connection.answered = (status) => {
          latencies.add(now() - due)
          answered++
          if (status !== 200) failed++
          if (status !== 0) idle.push(connection)
        }
        connection.socket.write(texts[sent++ % texts.length] ?? '', 'latin1')
      }
      if (answered >= total) resolve(latencies.summary(now() - startedAt, failed))
      else setImmediate(turn)
    }
    turn()
  })
}
