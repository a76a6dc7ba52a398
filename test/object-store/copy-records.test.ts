import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CopyRecords } from '../../src/object-store/copy-records.ts'
import { NEVER, openBucket, startFake } from './bucket-fixture.ts'

test('a record is found by its image and cause, and with others by its age, until it is removed', async (t) => {
  const fake = await startFake(t)
  const records = new CopyRecords(openBucket(t, { endpoint: fake.endpoint }))
  assert.equal(await records.writtenAt('pulled', 'up.test/app:1', NEVER), undefined)
  for (const image of ['up.test/app:1', 'up.test/app:2']) await records.write('pulled', image, NEVER)
  assert.ok((await records.writtenAt('pulled', 'up.test/app:1', NEVER)) !== undefined)
  assert.equal(await records.writtenAt('scheduled', 'up.test/app:1', NEVER), undefined)
  const before = async (time: number): Promise<readonly string[]> => {
    const images: string[] = []
    for await (const { image } of records.before(time, 'pulled', NEVER)) images.push(image)
    return images.sort()
  }
  assert.deepEqual(await before(Date.now() - 60_000), [])
  assert.deepEqual(await before(Date.now() + 60_000), ['up.test/app:1', 'up.test/app:2'])
  await records.remove('pulled', 'up.test/app:1', NEVER)
  assert.deepEqual(await before(Date.now() + 60_000), ['up.test/app:2'])
})

test('a record says when the copy began, by the clock of the server', async (t) => {
  const fake = await startFake(t)
  const records = new CopyRecords(openBucket(t, { endpoint: fake.endpoint }))
  assert.equal(await records.begunAt('scheduled', 'up.test/app:1', NEVER), undefined)
  await records.write('scheduled', 'up.test/app:1', { ...NEVER, tookMs: 90_500 })
  const writtenAt = await records.writtenAt('scheduled', 'up.test/app:1', NEVER)
  assert.equal(await records.begunAt('scheduled', 'up.test/app:1', NEVER), (writtenAt ?? 0) - 90_000)
})

test('an object that is no record is passed over', async (t) => {
  const fake = await startFake(t)
  fake.objects.put('cache/leat/copies/pulled/x', Buffer.from('no JSON'), 0)
  const records = new CopyRecords(openBucket(t, { endpoint: fake.endpoint }))
  for await (const { image } of records.before(Date.now(), 'pulled', NEVER)) assert.fail(image)
})
