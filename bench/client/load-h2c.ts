import { type ClientHttp2Session, connect } from 'node:http2'
import { type Load, type Loaded, now } from './jobs.ts'
import { Latencies } from './latencies.ts'

/** Sends requests as fast as they are answered, over HTTP/2 with prior knowledge. Node's client costs about as much as a server. */
export async function loadH2c(job: Load): Promise<Loaded> {
  const sessions = Array.from({ length: job.connections }, () => connect(`http://127.0.0.1:${job.port}`))
  const startedAt = now()
  const latencies = new Latencies()
  const most = 'requests' in job.until ? job.until.requests : Infinity
  const endAt = 'ms' in job.until ? startedAt + job.until.ms : Infinity
  let sent = 0
  let failed = 0
  const sendRepeatedly = async (session: ClientHttp2Session): Promise<void> => {
    while (sent < most && now() < endAt) {
      const sentAt = now()
      const request = job.requests[sent++ % job.requests.length]
      const status = await ask(session, { ':path': request?.path ?? '/', ...request?.headers })
      latencies.add(now() - sentAt)
      if (status !== 200 && status !== 206) failed++
      if (status === 0) return
    }
  }
  try {
    const streams = Array.from({ length: job.streams ?? 1 })
    await Promise.all(sessions.flatMap((session) => streams.map(() => sendRepeatedly(session))))
    return latencies.summary(now() - startedAt, failed)
  } finally {
    for (const session of sessions) session.destroy()
  }
}

function ask(session: ClientHttp2Session, headers: Record<string, string>): Promise<number> {
  return new Promise((resolve) => {
    let status = 0
    const stream = session.request(headers, { endStream: true })
    stream.on('response', (head) => {
      status = Number(head[':status'])
    })
    stream.on('data', () => {})
    stream.on('error', () => {
      status = 0
    })
    stream.on('close', () => resolve(status))
  })
}
