import assert from 'node:assert/strict'
import type { AttackReport } from '../../testkit/attacks/attack.ts'
import { floodFrames } from '../../testkit/attacks/kinds/frames.ts'
import { bombHeaders } from '../../testkit/attacks/kinds/headers.ts'
import { floodStreams } from '../../testkit/attacks/kinds/streams.ts'
import { assertWithstandsFlood, testPlainAndTls } from './attacked-server.ts'

const DURATION_MS = 300

/** The agent closes such a connection or, in newer versions of Node, nghttp2 does. */
function assertCutOff({ connections = 0 }: AttackReport): void {
  assert.ok(connections > 1, 'the flood was not cut off')
}

const STREAMS = {
  cancel: 'streams that are reset at once',
  zero: 'streams with a WINDOW_UPDATE of zero',
  overflow: 'streams with a WINDOW_UPDATE beyond the maximum window',
  body: 'streams with a request body',
  unending: 'more open streams than are allowed',
} as const

for (const kind of ['cancel', 'zero', 'overflow', 'body', 'unending'] as const) {
  testPlainAndTls(`the server serves others during a flood of ${STREAMS[kind]}`, {}, async (server) => {
    // Over TLS Node processes streams one record at a time, and answers each before it reads its RST_STREAM.
    const isUntilCutOff = kind === 'cancel' && server.ca === undefined
    const report = await assertWithstandsFlood(server, (options) =>
      floodStreams(server, { ...options, kind, durationMs: DURATION_MS, isUntilCutOff }),
    )
    if (isUntilCutOff) assertCutOff(report)
  })
}

const FRAMES = ['ping', 'settings', 'priority', 'window-update', 'empty-data', 'continuation'] as const

for (const kind of FRAMES) {
  testPlainAndTls(`the server serves others during a flood of ${kind} frames`, {}, async (server) => {
    const isUntilCutOff = kind === 'priority'
    const report = await assertWithstandsFlood(server, (options) =>
      floodFrames(server, { ...options, kind, durationMs: DURATION_MS, isUntilCutOff }),
    )
    if (isUntilCutOff) assertCutOff(report)
  })
}

for (const bomb of ['indexed', 'literal', 'cookies'] as const) {
  testPlainAndTls(
    `the server serves others during HTTP/2 requests with large headers (${bomb})`,
    {},
    async (server) => {
      await assertWithstandsFlood(server, (options) => bombHeaders(server, { ...options, bomb }))
    },
  )
}
