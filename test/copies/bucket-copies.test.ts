import assert from 'node:assert/strict'
import { test } from 'node:test'
import { subscribe } from '../../src/observe/events.ts'
import { parseReference, type Reference } from '../../src/oci/names/reference.ts'
import { Failure } from '../../src/ports/failure.ts'
import { NEVER } from '../object-store/bucket-fixture.ts'
import { dataKey, layerLink } from '../object-store/filled-bucket.ts'
import { setUp } from './copies-fixture.ts'

function reference(image: string): Reference {
  const parsed = parseReference(image)
  assert.ok(parsed.ok)
  return parsed.value
}

test('an image is copied whole, and what was there is counted as saved', async (t) => {
  const lab = await setUp(t, { costPerGiB: 2 ** 30 })
  const image = lab.addImage('1')
  lab.copies.add(reference('up.test/app:1'), 'notification')
  await lab.copies.idle()
  assert.equal(lab.tagIn('1'), image.manifest)
  for (const { digest } of image.blobs) {
    assert.ok(lab.fake.objects.get(dataKey(digest)) !== undefined)
    assert.ok(lab.fake.objects.get(layerLink('up.test/app', digest)) !== undefined)
  }
  const first = lab.copies.state
  assert.deepEqual([first.copied, first.failed, first.savedBytes, first.problem], [1, 0, 0, undefined])
  const blobBytes = image.blobs.reduce((sum, { size }) => sum + size, 0)
  lab.copies.add(reference('up.test/app:1'), 'notification')
  await lab.copies.idle()
  const second = lab.copies.state
  assert.deepEqual([second.copied, second.savedBytes, second.savedCost], [2, blobBytes, blobBytes])
})

test('the digest of a notification is copied, whatever the tag refers to here', async (t) => {
  const lab = await setUp(t)
  const pushed = lab.addImage('1', 'pushed')
  lab.addImage('1', 'cached')
  lab.copies.add(reference(`up.test/app:1@${pushed.manifest}`), 'notification')
  await lab.copies.idle()
  assert.equal(lab.tagIn('1'), pushed.manifest)
})

test('of two digests of a tag that wait, the last one is copied', async (t) => {
  const lab = await setUp(t)
  const [old, last] = [lab.addImage('1', 'old'), lab.addImage('1', 'last')]
  lab.addImage('2')
  // It is being copied while the others wait.
  lab.copies.add(reference('up.test/app:2'), 'notification')
  lab.copies.add(reference(`up.test/app:1@${old.manifest}`), 'notification')
  lab.copies.add(reference(`up.test/app:1@${last.manifest}`), 'notification')
  await lab.copies.idle()
  assert.equal(lab.tagIn('1'), last.manifest)
  assert.equal(lab.copies.state.copied, 2)
})

test('an image that is due without a digest does not replace one whose digest was pushed', async (t) => {
  const lab = await setUp(t)
  const pushed = lab.addImage('1', 'pushed')
  lab.addImage('1', 'cached')
  lab.addImage('2')
  // It is being copied while the others wait.
  lab.copies.add(reference('up.test/app:2'), 'notification')
  lab.copies.add(reference(`up.test/app:1@${pushed.manifest}`), 'notification')
  lab.copies.add(reference('up.test/app:1'), 'schedule')
  await lab.copies.idle()
  assert.equal(lab.tagIn('1'), pushed.manifest)
})

test('a bucket that fails is tried again, and the report says why until it succeeds', async (t) => {
  const lab = await setUp(t)
  lab.addImage('1')
  lab.fake.faultOf = () => ({ kind: 'error', status: 503, code: 'SlowDown' })
  const problems: (string | undefined)[] = []
  t.after(
    subscribe('copy.ended', ({ error }) => {
      problems.push(error)
      if (problems.length === 2) lab.fake.faultOf = () => undefined
    }),
  )
  lab.copies.add(reference('up.test/app:1'), 'schedule')
  await lab.copies.idle()
  assert.match(problems[0] ?? '', /^up\.test\/app:1 cannot be copied: s3:\/\/images\/cache: status 503; /)
  assert.equal(problems.at(-1), undefined)
  assert.deepEqual([lab.copies.state.failed, lab.copies.state.problem], [2, undefined])
})

test('an image whose registry must not be asked now is tried again, no sooner than it says', async (t) => {
  const lab = await setUp(t)
  const { manifest } = lab.addImage('1')
  lab.resolver.failure = new Failure('busy', 'up.test: status 429', { retryAfterMs: 200 })
  const endedAt: number[] = []
  t.after(
    subscribe('copy.ended', () => {
      lab.resolver.failure = undefined
      endedAt.push(performance.now())
    }),
  )
  lab.copies.add(reference('up.test/app:1'), 'notification')
  await lab.copies.idle()
  assert.equal(lab.tagIn('1'), manifest)
  const [failedAt = 0, copiedAt = 0] = endedAt
  assert.ok(copiedAt - failedAt >= 199, `${copiedAt - failedAt} ms`)
})

test('an image that its registry does not have is given up', async (t) => {
  const lab = await setUp(t)
  lab.copies.add(reference('up.test/app:none'), 'schedule')
  await lab.copies.idle()
  const { copied, failed, problem } = lab.copies.state
  assert.deepEqual([copied, failed], [0, 1])
  assert.match(problem ?? '', /check the name/)
  assert.equal(lab.tagIn('none'), undefined)
})

test('a tag that is dropped is gone, with all that registries know of it', async (t) => {
  const lab = await setUp(t)
  lab.addImage('1')
  lab.addImage('2')
  lab.copies.add(reference('up.test/app:1'), 'pulls')
  lab.copies.add(reference('up.test/app:2'), 'pulls')
  await lab.copies.idle()
  await lab.copies.drop(reference('up.test/app:1'), 'up.test/app:1')
  assert.deepEqual(
    lab.fake.objects.keys().filter((key) => key.includes('/tags/1/')),
    [],
  )
  assert.ok(lab.tagIn('2') !== undefined)
  assert.equal(lab.copies.state.dropped, 1)
  assert.ok((await lab.copy.records.writtenAt('pulled', 'up.test/app:2', NEVER)) !== undefined)
  assert.equal(await lab.copy.records.writtenAt('scheduled', 'up.test/app:2', NEVER), undefined)
})
