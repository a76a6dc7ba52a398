import assert from 'node:assert/strict'
import type { Report } from '../../testkit/attacks/attack.ts'
import { floodFrames } from '../../testkit/attacks/kinds/frames.ts'
import { bombHeaders } from '../../testkit/attacks/kinds/headers.ts'
import { floodStreams } from '../../testkit/attacks/kinds/streams.ts'
import { testBoth, withstandsFlood } from './attacked-door.ts'

const MS = 300

/** By the agent or, in newer versions of Node, by nghttp2. */
function assertCutOff({ connections = 0 }: Report): void {
  assert.ok(connections > 1, 'the flood was not cut off')
}

const STREAMS = {
  cancel: 'streams that are cancelled at once',
  zero: 'streams that the server is made to reset by an update of the window by nothing',
  overflow: 'streams that the server is made to reset by a window that is too large',
  body: 'streams with a body',
  unending: 'streams that do not end, more than there may be,',
} as const

for (const kind of ['cancel', 'zero', 'overflow', 'body', 'unending'] as const) {
  testBoth(`a flood of ${STREAMS[kind]} leaves the agent serving`, {}, async (door) => {
    // Over TLS Node hands over the streams one record at a time, and answers each before it sees that it is cancelled.
    const isUntilCutOff = kind === 'cancel' && door.ca === undefined
    const report = await withstandsFlood(door, (options) =>
      floodStreams(door, { ...options, kind, ms: MS, isUntilCutOff }),
    )
    if (isUntilCutOff) assertCutOff(report)
  })
}

const FRAMES = ['ping', 'settings', 'priority', 'window-update', 'empty-data', 'continuation'] as const

for (const kind of FRAMES) {
  testBoth(`a flood of ${kind} frames leaves the agent serving`, {}, async (door) => {
    const isUntilCutOff = kind === 'priority'
    const report = await withstandsFlood(door, (options) =>
      floodFrames(door, { ...options, kind, ms: MS, isUntilCutOff }),
    )
    if (isUntilCutOff) assertCutOff(report)
  })
}

for (const bomb of ['indexed', 'literal', 'cookies'] as const) {
  testBoth(`HTTP/2 requests with large headers (${bomb}) leave the agent serving`, {}, async (door) => {
    await withstandsFlood(door, (options) => bombHeaders(door, { ...options, bomb }))
  })
}
