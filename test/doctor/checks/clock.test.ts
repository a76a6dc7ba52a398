import assert from 'node:assert/strict'
import { test } from 'node:test'
import { judgeClock } from '../../../src/doctor/checks/clock.ts'
import { examineUpstreams } from '../../../src/upstream/examine.ts'
import { startFaultyUpstream } from '../../../testkit/registries/faulty-upstream.ts'
import { told } from '../told.ts'

const HOUR = 3_600_000

test('the clock is compared with what a registry says in its answer', async (t) => {
  const upstream = await startFaultyUpstream()
  t.after(() => upstream.close())
  upstream.extraHeaders.set('date', new Date(Date.now() + 2.5 * HOUR).toUTCString())
  const entries = [{ namespace: 'docker.io', hosts: [upstream.host], tls: false }]
  const [seen] = await examineUpstreams({ entries }, { signal: new AbortController().signal })
  const aheadMs = seen?.aheadMs ?? 0
  assert.deepEqual(told(judgeClock(0, [{ host: 'registry', aheadMs }])), [
    'problem: the clock of registry is 2h ahead of this one',
  ])
})

test('what is near enough is well, and the one that agrees is believed', () => {
  const right = { host: 'right', aheadMs: -900 }
  const wrong = { host: 'wrong', aheadMs: -HOUR }
  assert.deepEqual(told(judgeClock(1500, [wrong, right])), ['ok: the clock agrees with that of right'])
  assert.deepEqual(told(judgeClock(undefined, [{ host: 'slow', aheadMs: -120_000 }])), [
    'warning: the clock of slow is 2m behind this one',
  ])
  assert.deepEqual(told(judgeClock(60_000, [])), [
    'warning: the agent’s clock is 1m ahead of this one',
    'not-looked-at: no upstream has told the time',
  ])
})
