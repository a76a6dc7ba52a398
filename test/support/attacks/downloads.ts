import { TYPE } from '../http2-frames.ts'
import { RawHttp1 } from '../raw-http1.ts'
import { RawHttp2 } from '../raw-http2.ts'
import type { RawSocket } from '../raw-socket.ts'
import { type AttackTarget, type HoldOptions, hold, type Report, repeat } from './attack.ts'

const AT_ONCE = 16

/** `fin` and `rst` close the connection, `cancel` the stream; `vanish` reads nothing more and says nothing. */
export type Leaving = 'fin' | 'rst' | 'cancel' | 'vanish'

/** Downloads over HTTP/2 that are left after a few bytes of the body. */
export async function abandonStreams(
  target: AttackTarget,
  options: HoldOptions & { times?: number; leaving: Leaving },
): Promise<Report> {
  const { times = 300, leaving, signal } = options
  const vanished: RawSocket[] = []
  try {
    const { done, failed } = await repeat({ times, atOnce: AT_ONCE, signal }, async () => {
      const client = await RawHttp2.open(target)
      vanished.push(client.socket)
      const stream = client.get(target.blob)
      await client.nextFrame(TYPE.data, stream)
      await leave(client, stream, leaving)
    })
    if (leaving === 'vanish') await hold(options)
    else options.onInPlace?.()
    return { done, failed }
  } finally {
    for (const socket of vanished) socket.close()
  }
}

async function leave(client: RawHttp2, stream: number, leaving: Leaving): Promise<void> {
  const { socket } = client
  switch (leaving) {
    case 'fin':
      // What was not read would make the kernel send RST: the server must have sent all that it may.
      await client.settled()
      socket.halfClose()
      return
    case 'rst':
      socket.reset()
      return
    case 'cancel':
      await client.cancel(stream)
      await client.settled()
      socket.close()
      return
    case 'vanish':
      socket.stopReading()
  }
}

/** The same over HTTP/1.1, where only the connection can be left. */
export async function abandonConnections(
  target: AttackTarget,
  options: HoldOptions & { times?: number; leaving: Exclude<Leaving, 'cancel'> },
): Promise<Report> {
  const { times = 300, leaving, signal } = options
  const opened: RawSocket[] = []
  try {
    const { done, failed } = await repeat({ times, atOnce: AT_ONCE, signal }, async () => {
      const { socket } = await RawHttp1.open(target, { reads: false })
      opened.push(socket)
      const first = new Promise<void>((resolve) => socket.onBytes(() => resolve()))
      await socket.send(`GET ${target.blob} HTTP/1.1\r\nHost: x\r\n\r\n`)
      socket.readAll()
      await Promise.race([first, socket.ended])
      socket.stopReading()
      if (leaving === 'rst') socket.reset()
      if (leaving === 'fin') socket.close()
    })
    if (leaving === 'vanish') await hold(options)
    else options.onInPlace?.()
    return { done, failed }
  } finally {
    for (const socket of opened) socket.close()
  }
}
