import type { AttackReport, AttackTarget, HoldOptions } from './attack.ts'
import { abandonConnections, abandonStreams, type DisconnectKind } from './kinds/downloads.ts'
import { type FrameFlood, floodFrames } from './kinds/frames.ts'
import { bombHeaders, type HeaderBomb, type LargeHeaders, largeHeaders } from './kinds/headers.ts'
import { type IdleKind, idleConnections } from './kinds/idle.ts'
import { type EndlessBody, endlessBodies, pipelineRequests } from './kinds/requests.ts'
import {
  openWindowsSlowly,
  type RequestedContent,
  readSlowly,
  stallConnections,
  stallStreams,
} from './kinds/stalled.ts'
import { floodStreams, type StreamFlood } from './kinds/streams.ts'

export type NamedAttack = (target: AttackTarget, options: HoldOptions) => Promise<AttackReport>

/** 16 KiB per second. */
const STEADY_RATE = { bytes: 1638, everyMs: 100 }

/** Every attack at its full size, by its name on the command line and in reports. */
export const ATTACKS: ReadonlyMap<string, NamedAttack> = new Map<string, NamedAttack>([
  ...(['fin', 'rst', 'cancel', 'vanish'] satisfies DisconnectKind[]).map(
    (disconnect): [string, NamedAttack] => [
      `h2-download-${disconnect}`,
      (target, options) => abandonStreams(target, { ...options, disconnect }),
    ],
  ),
  ...(['fin', 'rst', 'vanish'] satisfies DisconnectKind[]).map((disconnect): [string, NamedAttack] => [
    `h1-download-${disconnect}`,
    (target, options) => abandonConnections(target, { ...options, disconnect }),
  ]),
  ...(['manifest', 'blob'] satisfies RequestedContent[]).flatMap((content): [string, NamedAttack][] => [
    [`h2-stalled-${content}`, (target, options) => stallStreams(target, { ...options, content })],
    [
      `h2-stalled-${content}-many`,
      (target, options) => stallStreams(target, { ...options, content, connections: 8, streams: 100 }),
    ],
    [`h1-stalled-${content}`, (target, options) => stallConnections(target, { ...options, content })],
    [`h1-slow-${content}`, (target, options) => readSlowly(target, { ...options, content })],
    [`h2-slow-${content}`, (target, options) => openWindowsSlowly(target, { ...options, content })],
    [
      `h1-steady-${content}`,
      (target, options) => readSlowly(target, { ...options, content, rate: STEADY_RATE }),
    ],
  ]),
  [
    'h2-closed-windows-blob',
    (target, options) => stallStreams(target, { ...options, content: 'blob', connections: 3, streams: 128 }),
  ],
  [
    'h2-too-many-streams',
    (target, options) =>
      stallStreams(target, { ...options, content: 'manifest', connections: 1, streams: 252 }),
  ],
  ...(['cancel', 'zero', 'overflow', 'body', 'unending'] satisfies StreamFlood[]).map(
    (kind): [string, NamedAttack] => [
      `h2-flood-${kind}`,
      (target, options) => floodStreams(target, { ...options, kind }),
    ],
  ),
  ...(
    ['ping', 'settings', 'priority', 'window-update', 'empty-data', 'continuation'] satisfies FrameFlood[]
  ).map((kind): [string, NamedAttack] => [
    `h2-frames-${kind}`,
    (target, options) => floodFrames(target, { ...options, kind }),
  ]),
  ...(['indexed', 'literal', 'cookies'] satisfies HeaderBomb[]).map((bomb): [string, NamedAttack] => [
    `h2-headers-${bomb}`,
    (target, options) => bombHeaders(target, { ...options, bomb }),
  ]),
  ...(['many', 'huge', 'endless'] satisfies LargeHeaders[]).map((headers): [string, NamedAttack] => [
    `h1-headers-${headers}`,
    (target, options) => largeHeaders(target, { ...options, headers }),
  ]),
  ...(['silent', 'half', 'kept', 'preface', 'settings'] satisfies IdleKind[]).map(
    (idle): [string, NamedAttack] => [
      `idle-${idle}`,
      (target, options) => idleConnections(target, { ...options, idle }),
    ],
  ),
  ['h1-pipelined', pipelineRequests],
  [
    'h1-pipelined-stalled',
    (target, options) => pipelineRequests(target, { ...options, requests: 60, stalled: true }),
  ],
  ...(['declared', 'chunked', 'flood'] satisfies EndlessBody[]).map((body): [string, NamedAttack] => [
    `h1-body-${body}`,
    (target, options) => endlessBodies(target, { ...options, body }),
  ]),
])
