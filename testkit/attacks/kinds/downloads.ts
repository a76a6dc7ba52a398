import { TYPE } from '../../raw-http/http2-frames.ts'
import { requestFor } from '../../raw-http/raw-http1.ts'
import type { RawHttp2 } from '../../raw-http/raw-http2.ts'
import { type AttackTarget, type HoldOptions, hold, type Report, repeat } from '../attack.ts'
import { Crowd } from '../crowd.ts'

const AT_ONCE = 16

/** `fin` and `rst` close the connection, `cancel` the stream; `vanish` reads nothing more and says nothing. */
export type Leaving = 'fin' | 'rst' | 'cancel' | 'vanish'

/** Downloads over HTTP/2 that are left after the first bytes of the body. */
export async function abandonStreams(
  target: AttackTarget,
  options: HoldOptions & { times?: number; leaving: Leaving },
): Promise<Report> {
  const { times = 300, leaving, signal } = options
  const crowd = new Crowd(target, signal)
  let refused = 0
  try {
    const { done, failed } = await repeat({ times, atOnce: AT_ONCE, signal }, async () => {
      const client = await crowd.http2()
      const stream = client.get(target.blob)
      if ((await client.status(stream)) === 200) await client.nextFrame(TYPE.data, stream)
      else refused += 1
      await leave(client, stream, leaving)
    })
    if (leaving === 'vanish') await hold(options)
    else options.onInPlace?.()
    return { done, failed, refused }
  } finally {
    crowd.close()
  }
}

async function leave(client: RawHttp2, stream: number, leaving: Leaving): Promise<void> {
  const { socket } = client
  switch (leaving) {
    case 'fin':
      // With bytes that were not read the kernel would send RST: first comes all that the server may send.
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

/** The same over HTTP/1.1, where only the connection can be left; `fin` leaves it with bytes that were not read. */
export async function abandonConnections(
  target: AttackTarget,
  options: HoldOptions & { times?: number; leaving: Exclude<Leaving, 'cancel'> },
): Promise<Report> {
  const { times = 300, leaving, signal } = options
  const crowd = new Crowd(target, signal)
  try {
    const { done, failed } = await repeat({ times, atOnce: AT_ONCE, signal }, async () => {
      const socket = await crowd.socket('http/1.1')
      const first = new Promise<void>((resolve) => socket.onBytes(() => resolve()))
      await socket.send(requestFor(target.blob))
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
    crowd.close()
  }
}
