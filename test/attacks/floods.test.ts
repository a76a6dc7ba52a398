import assert from 'node:assert/strict'
import { floodFrames } from '../../testkit/attacks/kinds/frames.ts'
import { bombHeaders } from '../../testkit/attacks/kinds/headers.ts'
import { floodStreams } from '../../testkit/attacks/kinds/streams.ts'
import { testBoth, withstandsFlood } from './attacked-door.ts'

const MS = 300

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
    const isSeen = kind === 'cancel' && door.ca === undefined
    const isEnough = (): boolean => !isSeen || door.rejected.size > 0
    await withstandsFlood(door, (options) => floodStreams(door, { ...options, kind, ms: MS, isEnough }))
    assert.ok(isEnough(), 'the flood was not cut off')
  })
}

const FRAMES = ['ping', 'settings', 'priority', 'window-update', 'empty-data', 'continuation'] as const

for (const kind of FRAMES) {
  testBoth(`a flood of ${kind} frames leaves the agent serving`, {}, async (door) => {
    const isEnough = (): boolean => kind !== 'priority' || (door.rejected.get('frames') ?? 0) > 0
    await withstandsFlood(door, (options) => floodFrames(door, { ...options, kind, ms: MS, isEnough }))
    assert.ok(isEnough(), 'the flood was not cut off')
  })
}

for (const bomb of ['indexed', 'literal', 'cookies'] as const) {
  testBoth(`HTTP/2 requests with large headers (${bomb}) leave the agent serving`, {}, async (door) => {
    await withstandsFlood(door, (options) => bombHeaders(door, { ...options, bomb }))
  })
}
