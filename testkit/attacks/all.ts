import type { AttackTarget, HoldOptions, Report } from './attack.ts'
import { abandonConnections, abandonStreams, type Leaving } from './kinds/downloads.ts'
import { type FrameFlood, floodFrames } from './kinds/frames.ts'
import { bombHeaders, type HeaderBomb, type LargeHeaders, largeHeaders } from './kinds/headers.ts'
import { type Idle, idleConnections } from './kinds/idle.ts'
import { type EndlessBody, endlessBodies, pipelineRequests } from './kinds/requests.ts'
import { grantSlowly, readSlowly, stallConnections, stallStreams, type Wanted } from './kinds/stalled.ts'
import { floodStreams, type StreamFlood } from './kinds/streams.ts'

export type NamedAttack = (target: AttackTarget, options: HoldOptions) => Promise<Report>

/** 16 KiB a second. */
const STEADY = { bytes: 1638, everyMs: 100 }

/** Every attack at its full size, by a name for the command line and for reports. */
export const ATTACKS: ReadonlyMap<string, NamedAttack> = new Map<string, NamedAttack>([
  ...(['fin', 'rst', 'cancel', 'vanish'] satisfies Leaving[]).map((leaving): [string, NamedAttack] => [
    `h2-download-${leaving}`,
    (target, options) => abandonStreams(target, { ...options, leaving }),
  ]),
  ...(['fin', 'rst', 'vanish'] satisfies Leaving[]).map((leaving): [string, NamedAttack] => [
    `h1-download-${leaving}`,
    (target, options) => abandonConnections(target, { ...options, leaving }),
  ]),
  ...(['manifest', 'blob'] satisfies Wanted[]).flatMap((wanted): [string, NamedAttack][] => [
    [`h2-stalled-${wanted}`, (target, options) => stallStreams(target, { ...options, wanted })],
    [
      `h2-stalled-${wanted}-many`,
      (target, options) => stallStreams(target, { ...options, wanted, connections: 8, streams: 100 }),
    ],
    [`h1-stalled-${wanted}`, (target, options) => stallConnections(target, { ...options, wanted })],
    [`h1-slow-${wanted}`, (target, options) => readSlowly(target, { ...options, wanted })],
    [`h2-slow-${wanted}`, (target, options) => grantSlowly(target, { ...options, wanted })],
    [`h1-steady-${wanted}`, (target, options) => readSlowly(target, { ...options, wanted, pace: STEADY })],
  ]),
  [
    'h2-closed-windows-blob',
    (target, options) => stallStreams(target, { ...options, wanted: 'blob', connections: 3, streams: 128 }),
  ],
  [
    'h2-too-many-streams',
    (target, options) =>
      stallStreams(target, { ...options, wanted: 'manifest', connections: 1, streams: 252 }),
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
  ...(['silent', 'half', 'kept', 'preface', 'settings'] satisfies Idle[]).map(
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
