import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { CopyPulled } from '../../../src/copies/options/copy-options.ts'
import { PulledCopies } from '../../../src/copies/pulls/pulled-copies.ts'
import { type Events, publish, subscribe } from '../../../src/observe/events.ts'
import type { Reference } from '../../../src/oci/names/reference.ts'
import { addCleanup } from '../../../testkit/cleanup.ts'
import { NEVER } from '../../object-store/bucket-fixture.ts'
import { requestEnded } from '../../observe/sample-events.ts'
import { APP, type CopiesLab, setUp } from '../copies-fixture.ts'

const DAY_MS = 86_400_000

function open(
  t: TestContext,
  { copies, copy }: CopiesLab,
  pulled: Partial<CopyPulled> = {},
  options: Partial<
    Pick<ConstructorParameters<typeof PulledCopies>[0], 'zone' | 'isKept' | 'owns' | 'now'>
  > = {},
): PulledCopies {
  const opened = new PulledCopies({
    pulled: { times: 2, withinMs: DAY_MS, ...pulled },
    zone: 'eu-1',
    isKept: () => false,
    owns: () => true,
    ...options,
    bucket: {
      name: copy.name,
      records: copy.records,
      add: (reference: Reference) => copies.add(reference, 'pulls'),
      drop: (reference, image) => copies.drop(reference, image),
      report: (error) => copies.report('drop', error),
    },
  })
  opened.start()
  addCleanup(t, () => opened.stop())
  return opened
}

function pull(event: Partial<Events['request.ended']> = {}): void {
  publish('request.ended', requestEnded({ route: 'manifest', repository: APP, reference: '1', ...event }))
}

test('an image that is pulled often enough is copied once', async (t) => {
  const lab = await setUp(t)
  const { manifest } = lab.addImage('1')
  open(t, lab)
  pull({ method: 'HEAD' })
  assert.equal(lab.copies.state.waiting, 0)
  pull()
  await lab.copies.idle()
  assert.equal(lab.tagIn('1'), manifest)
  for (let more = 0; more < 4; more += 1) pull()
  await lab.copies.idle()
  assert.equal(lab.copies.state.copied, 1)
})

test('what is no pull of a tag, or not of a client that counts, does not count', async (t) => {
  const lab = await setUp(t)
  lab.addImage('1')
  open(t, lab, { times: 1, from: ['10.1.0.0/16'], names: ['up.test/*'], zones: ['eu-1'] })
  open(t, lab, { times: 1, zones: ['us-1'] })
  const client = '10.1.2.3'
  pull({ client: '10.2.0.1' })
  pull({ client, route: 'blob' })
  pull({ client, code: 404 })
  pull({ client, aborted: true })
  pull({ client, reference: `sha256:${'0'.repeat(64)}` })
  pull({ client, repository: { registry: 'other.test', name: 'app' } })
  assert.equal(lab.copies.state.waiting, 0)
  // A client that is sent to upstream counts as one that is served.
  pull({ client, code: 307 })
  await lab.copies.idle()
  assert.equal(lab.copies.state.copied, 1)
})

test('the tag of an image goes when nobody has pulled it for long, and one that is still pulled stays', async (t) => {
  const lab = await setUp(t)
  for (const tag of ['1', '2', '3']) lab.addImage(tag)
  let now = Date.now()
  const pulls = open(
    t,
    lab,
    { times: 1, dropAfterMs: 2 * DAY_MS },
    { now: () => now, isKept: ({ tag }) => tag === '3' },
  )
  for (const reference of ['1', '2', '3']) pull({ reference })
  await lab.copies.idle()
  await pulls.idle()
  await pulls.dropOld(NEVER)
  assert.equal(lab.copies.state.dropped, 0)
  now += 3 * DAY_MS
  // Another node says that an image is still pulled: it has not said so lately.
  const [records] = lab.fake.objects.keys().filter((key) => key.includes('leat/copies/pulled/'))
  assert.ok(records !== undefined)
  const elsewhere = open(t, lab, { times: 9, dropAfterMs: 2 * DAY_MS })
  const written = lab.fake.requests.length
  pull({ reference: '2' })
  await elsewhere.idle()
  const touched = lab.fake.requests.slice(written).find(({ method }) => method === 'PUT')?.key
  assert.ok(touched !== undefined)
  lab.fake.objects.put(touched, lab.fake.objects.get(touched)?.bytes ?? Buffer.alloc(0), now)
  await pulls.dropOld(NEVER)
  assert.deepEqual([lab.tagIn('1'), lab.copies.state.dropped], [undefined, 1])
  assert.ok(lab.tagIn('2') !== undefined)
  // The schedule, or notifications, keep it.
  assert.ok(lab.tagIn('3') !== undefined)
})

test('a tag that cannot be dropped does not keep the others, and is told once', async (t) => {
  const lab = await setUp(t)
  const pulls = open(t, lab, { times: 1, dropAfterMs: 2 * DAY_MS }, { now: () => Date.now() + 3 * DAY_MS })
  for (const reference of ['1', '2']) {
    lab.addImage(reference)
    pull({ reference })
  }
  await lab.copies.idle()
  await pulls.idle()
  const told: boolean[] = []
  t.after(subscribe('copies.failing', ({ problem }) => told.push(problem !== undefined)))
  lab.fake.faultOf = ({ query }) =>
    decodeURIComponent(query).includes('/tags/1/')
      ? { kind: 'error', status: 403, code: 'AccessDenied' }
      : undefined
  await pulls.dropOld(NEVER)
  assert.ok(lab.tagIn('1') !== undefined)
  assert.equal(lab.tagIn('2'), undefined)
  assert.match(lab.copies.state.problem ?? '', /AccessDenied/)
  await pulls.dropOld(NEVER)
  assert.deepEqual(told, [true])
  lab.fake.faultOf = () => undefined
  await pulls.dropOld(NEVER)
  assert.equal(lab.tagIn('1'), undefined)
  assert.deepEqual([told, lab.copies.state.problem], [[true, false], undefined])
})

test('only the owner of the copies into a bucket drops tags', async (t) => {
  const lab = await setUp(t)
  lab.addImage('1')
  const pulls = open(
    t,
    lab,
    { times: 1, dropAfterMs: 2 * DAY_MS },
    { owns: (key) => key !== 'copies s3://images/cache', now: () => Date.now() + 3 * DAY_MS },
  )
  pull()
  await lab.copies.idle()
  await pulls.dropOld(NEVER)
  assert.ok(lab.tagIn('1') !== undefined)
})
