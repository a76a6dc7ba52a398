import assert from 'node:assert/strict'
import { test } from 'node:test'
import { judgeClock } from '../../../src/doctor/checks/clock.ts'
import { examineUpstreams } from '../../../src/upstream/examine.ts'
import { startFaultyUpstream } from '../../../testkit/registries/faulty-upstream.ts'
import { findingLines } from '../finding-lines.ts'

const HOUR = 3_600_000

test('the clock is compared with the date in the answer of a registry', async (t) => {
  const upstream = await startFaultyUpstream()
  t.after(() => upstream.close())
  upstream.extraHeaders.set('date', new Date(Date.now() + 2.5 * HOUR).toUTCString())
  const entries = [{ namespace: 'docker.io', hosts: [upstream.host], tls: false }]
  const [host] = await examineUpstreams({ entries }, { signal: new AbortController().signal })
  const aheadMs = host?.aheadMs ?? 0
  assert.deepEqual(findingLines(judgeClock(0, [{ host: 'registry', aheadMs }])), [
    'problem: the clock of registry is 2h ahead of the clock of this node',
  ])
})

test('a small difference is ok, and of several registries the one with the nearest clock counts', () => {
  const right = { host: 'right', aheadMs: -900 }
  const wrong = { host: 'wrong', aheadMs: -HOUR }
  assert.deepEqual(findingLines(judgeClock(1500, [wrong, right])), [
    'ok: the clock agrees with the clock of right',
  ])
  assert.deepEqual(findingLines(judgeClock(undefined, [{ host: 'slow', aheadMs: -120_000 }])), [
    'warning: the clock of slow is 2m behind the clock of this node',
  ])
  assert.deepEqual(findingLines(judgeClock(60_000, [])), [
    'warning: the clock of the agent is 1m ahead of the clock of this command',
    'not-checked: no upstream reported its time',
  ])
})
