import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { test } from 'node:test'
import { formatAddress } from '../../src/config/values/address.ts'
import { requirePrograms, run, tryRun } from '../../testkit/programs.ts'
import { startAgent, startUpstream } from '../agent/running-agent.ts'
import { CHART } from './support/helm.ts'

test('Prometheus accepts the alert rules', async (t) => {
  const programs = requirePrograms(t, ['promtool'])
  if (programs === undefined) return
  const { stdout } = await run(programs.promtool, ['check', 'rules', join(CHART, 'files/alerts.yaml')])
  assert.match(stdout, /SUCCESS: \d+ rules found/)
})

test('Prometheus has no complaint about the metrics of an agent that has served clients', async (t) => {
  const programs = requirePrograms(t, ['promtool'])
  if (programs === undefined) return
  const upstream = await startUpstream(t)
  const { layers } = upstream.addImage('app', 'v1', [randomBytes(10_000)])
  const running = await startAgent(t, { upstream })
  assert.equal((await running.get('app/manifests/v1')).status, 200)
  assert.equal((await running.getBlob(layers[0] ?? assert.fail())).status, 200)
  const { admin } = running.agent.addresses
  const metrics = await fetch(`http://${formatAddress(admin ?? assert.fail())}/metrics`)
  const input = await metrics.text()
  const { code, stdout, stderr } = await tryRun(programs.promtool, ['check', 'metrics'], { input })
  assert.deepEqual({ code, output: stdout + stderr }, { code: 0, output: '' })

  const broken = `${input}\n# TYPE leat_x counter\nleat_x 1\n`
  const complaint = await tryRun(programs.promtool, ['check', 'metrics'], { input: broken })
  assert.match(complaint.stderr, /leat_x/)
})
