import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import * as v from 'valibot'
import type { ObjectStoreOptions } from '../../src/object-store/options/store-options.ts'
import { StatusReport } from '../../src/schemas/status-report.ts'
import { WhyReport } from '../../src/schemas/why-report.ts'
import type { FakeS3 } from '../../testkit/object-store/fake-s3.ts'
import { TEST_KEYS } from '../../testkit/object-store/servers.ts'
import { sha256 } from '../../testkit/registries/faulty/content.ts'
import { type RunningAgent, startAgent, startUpstream } from '../agent/running-agent.ts'
import { startFake } from './bucket-fixture.ts'
import { fillBucket, makeImage } from './filled-bucket.ts'

const NOWHERE = sha256('in no bucket')

async function setUp(
  t: TestContext,
  options: Partial<ObjectStoreOptions> = {},
): Promise<{ readonly fake: FakeS3; readonly running: RunningAgent }> {
  const fake = await startFake(t)
  const upstream = await startUpstream(t)
  const { endpoint } = fake
  const objectStore = { bucket: 'images', prefix: 'cache', endpoint, environment: TEST_KEYS, ...options }
  const running = await startAgent(t, { upstream, objectStore, scrubRate: 0 })
  return { fake, running }
}

async function admin(running: RunningAgent, path: string): Promise<string> {
  const address = running.agent.addresses.admin
  assert.ok(address !== undefined)
  const response = await fetch(`http://${address.host}:${address.port}${path}`)
  assert.equal(response.status, 200)
  return response.text()
}

async function status(running: RunningAgent): Promise<NonNullable<StatusReport['objectStore']>> {
  const report = v.parse(StatusReport, JSON.parse(await admin(running, '/api/v1/status')))
  assert.ok(report.objectStore != null)
  return report.objectStore
}

async function why(running: RunningAgent, subject: string): Promise<WhyReport> {
  const text = await admin(running, `/api/v1/why?subject=${encodeURIComponent(subject)}`)
  return v.parse(WhyReport, JSON.parse(text))
}

test('status and metrics count what the bucket brings, and what it does not have', async (t) => {
  const { fake, running } = await setUp(t, { fill: 'none' })
  const image = makeImage([100_000])
  fillBucket(fake, 'up.test/app', '1', image)
  const [config, layer] = image.blobs
  assert.ok(config !== undefined && layer !== undefined)
  const before = (await status(running)).reads
  for (const { digest } of [config, layer]) assert.equal((await running.getBlob(digest)).status, 200)
  await running.getBlob(NOWHERE)
  const report = await status(running)
  assert.equal(report.name, 's3://images/cache')
  assert.deepEqual([report.paused, report.lastError], [null, null])
  // Events are those of the process, in which other agents may run.
  assert.deepEqual([report.reads.hit - before.hit, report.reads.miss - before.miss], [2, 1])
  assert.ok(report.answerMs !== null && report.answerMs >= 0)
  const metrics = await admin(running, '/metrics')
  assert.match(metrics, /^leat_object_store_paused 0$/m)
  assert.match(metrics, /^leat_object_store_uploads_waiting 0$/m)
  assert.match(metrics, /^leat_object_store_answer_duration_seconds_count [1-9]/m)
})

test('status says why the bucket is paused', async (t) => {
  const { fake, running } = await setUp(t, { fill: 'none' })
  fake.faultOf = () => ({ kind: 'error', status: 503, code: 'SlowDown' })
  for (let i = 0; i < 5; i += 1) await running.getBlob(sha256(`missing ${i}`))
  const { paused, lastError } = await status(running)
  assert.match(paused ?? '', /SlowDown/)
  assert.match(lastError?.message ?? '', /SlowDown/)
  assert.match(await admin(running, '/metrics'), /^leat_object_store_paused 1$/m)
})

test('the report on a content says whether the bucket has it, and that it is asked before upstream', async (t) => {
  const { fake, running } = await setUp(t, { fill: 'none' })
  const image = makeImage([1000])
  fillBucket(fake, 'up.test/app', '1', image)
  const digest = image.blobs[1]?.digest
  const report = await why(running, `up.test/app@${digest}`)
  assert.deepEqual(report.objectStore, { name: 's3://images/cache', has: true, problem: null })
  assert.match(report.next, /fetches it from s3:\/\/images\/cache, then /)
  const none = await why(running, `up.test/app@${NOWHERE}`)
  assert.equal(none.objectStore?.has, false)
  assert.doesNotMatch(none.next, /s3:/)
  fake.faultOf = () => ({ kind: 'error', status: 503, code: 'SlowDown' })
  const unknown = await why(running, `up.test/app@${digest}`)
  assert.deepEqual([unknown.objectStore?.has, unknown.objectStore?.problem?.includes('503')], [null, true])
})

test('the report on a content of a registry that is not in the bucket does not name the bucket', async (t) => {
  const { running } = await setUp(t, { fill: 'none', registry: 'other.test' })
  assert.equal((await why(running, `up.test/app@${NOWHERE}`)).objectStore, null)
})
