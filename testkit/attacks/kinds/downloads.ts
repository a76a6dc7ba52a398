import { TYPE } from '../../raw-http/http2-frames.ts'
import { requestFor } from '../../raw-http/raw-http1.ts'
import type { RawHttp2 } from '../../raw-http/raw-http2.ts'
import { type AttackReport, type AttackTarget, type HoldOptions, hold, repeat } from '../attack.ts'
import { ConnectionGroup } from '../connection-group.ts'

const CONCURRENCY = 16

/** `fin` and `rst` close the connection, `cancel` resets the stream, `vanish` stops reading and keeps the connection. */
export type DisconnectKind = 'fin' | 'rst' | 'cancel' | 'vanish'

/** Starts downloads over HTTP/2 and abandons them after the first bytes of the body. */
export async function abandonStreams(
  target: AttackTarget,
  options: HoldOptions & { times?: number; disconnect: DisconnectKind },
): Promise<AttackReport> {
  const { times = 300, disconnect, signal } = options
  const group = new ConnectionGroup(target, signal)
  let refused = 0
  try {
    const { done, failed } = await repeat({ times, concurrency: CONCURRENCY, signal }, async () => {
      const client = await group.openHttp2()
      const stream = client.get(target.blob)
      if ((await client.status(stream)) === 200) await client.nextFrame(TYPE.data, stream)
      else refused += 1
      await abandon(client, stream, disconnect)
    })
    if (disconnect === 'vanish') await hold(options)
    else options.onEstablished?.()
    return { done, failed, refused }
  } finally {
    group.close()
  }
}

async function abandon(client: RawHttp2, stream: number, disconnect: DisconnectKind): Promise<void> {
  const { socket } = client
  switch (disconnect) {
    case 'fin':
      // The kernel sends RST instead of FIN while received bytes are unread, so everything is read first.
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

/** The same over HTTP/1.1, which has no streams to cancel. `fin` closes the connection with unread bytes. */
export async function abandonConnections(
  target: AttackTarget,
  options: HoldOptions & { times?: number; disconnect: Exclude<DisconnectKind, 'cancel'> },
): Promise<AttackReport> {
  const { times = 300, disconnect, signal } = options
  const group = new ConnectionGroup(target, signal)
  try {
    const { done, failed } = await repeat({ times, concurrency: CONCURRENCY, signal }, async () => {
      const socket = await group.openSocket('http/1.1')
      const first = new Promise<void>((resolve) => socket.onBytes(() => resolve()))
      await socket.send(requestFor(target.blob))
      socket.readAll()
      await Promise.race([first, socket.ended])
      socket.stopReading()
      if (disconnect === 'rst') socket.reset()
      if (disconnect === 'fin') socket.close()
    })
    if (disconnect === 'vanish') await hold(options)
    else options.onEstablished?.()
    return { done, failed }
  } finally {
    group.close()
  }
}
