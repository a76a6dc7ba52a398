import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import type { ObjectText } from '../../src/object-store/client/bucket.ts'
import { MultipartUploads } from '../../src/object-store/client/multipart.ts'
import { MemoryIntake } from '../../testkit/memory/memory-intake.ts'
import { NEVER, sha256, type TestedBucket } from './bucket-fixture.ts'

const MIB = 1024 * 1024

/** Not every server compares the hash. */
export const WRONG_BODY = 'a body with another hash than the declared one is refused'

/** What every server that speaks S3 must do for the client. */
export const BUCKET_STEPS: Readonly<Record<string, (bucket: TestedBucket) => Promise<void>>> = {
  'an object is written once, found, and read in ranges': async (bucket) => {
    const bytes = randomBytes(300_000)
    const options = { sha256: sha256(bytes), ...NEVER }
    assert.equal(await bucket.put('a/b/data', bytes, options), true)
    assert.equal(await bucket.put('a/b/data', bytes, options), false)
    assert.equal(await bucket.put('a/b/data', bytes, { ...options, replace: true }), true)
    assert.equal((await bucket.head('a/b/data', NEVER))?.size, bytes.length)
    assert.equal(await bucket.head('a/b/other', NEVER), undefined)
    const intake = new MemoryIntake()
    for (const [start, end] of [
      [0, 100_000],
      [100_000, 200_001],
      [200_001, undefined],
    ] as const) {
      const range = end === undefined ? { start } : { start, end }
      const response = await bucket.bodies.get('a/b/data', range, NEVER)
      assert.equal(response.status, 206)
      await response.body.readInto(intake, { skip: 0, limit: bytes.length })
    }
    assert.deepEqual(intake.bytes, bytes)
  },
  [WRONG_BODY]: async (bucket) => {
    const options = { sha256: sha256(Buffer.from('other')), ...NEVER }
    await assert.rejects(bucket.put('wrong', Buffer.from('body'), options), { name: 'Failure' })
    assert.equal(await bucket.head('wrong', NEVER), undefined)
  },
  'a small object is written and deleted as the version that was read': async (bucket) => {
    const write = (text: string, known: ObjectText | undefined) =>
      bucket.replace('tag', Buffer.from(text), { known, sha256: sha256(Buffer.from(text)), ...NEVER })
    assert.equal(await write('one', undefined), true)
    assert.equal(await write('other', undefined), false)
    const one = await bucket.read('tag', NEVER)
    assert.equal(one?.text, 'one')
    assert.equal(await write('two', one), true)
    assert.equal(await write('other', one), false)
    const two = await bucket.read('tag', NEVER)
    assert.ok(two !== undefined)
    assert.equal(two.text, 'two')
    assert.equal(await bucket.deleteVersion('tag', { known: two, ...NEVER }), true)
    assert.equal(await bucket.read('tag', NEVER), undefined)
    assert.equal(await write('other', two), false)
    assert.equal(await bucket.read('tag', NEVER), undefined)
  },
  'objects and folders are listed, and deleted': async (bucket) => {
    const keys = ['list/a/1', 'list/a/2', 'list/b/1', 'list/c']
    for (const key of keys) {
      await bucket.put(key, Buffer.from(key), { sha256: sha256(Buffer.from(key)), ...NEVER })
    }
    const listed: string[] = []
    for await (const { key, size } of bucket.list('list/', NEVER)) {
      assert.equal(size, key.length)
      listed.push(key)
    }
    assert.deepEqual(listed, keys)
    const folders: string[] = []
    for await (const folder of bucket.folders('list/', NEVER)) folders.push(folder)
    assert.deepEqual(folders, ['a', 'b'])
    await bucket.delete(['list/a/1', 'list/none'], NEVER)
    assert.equal(await bucket.read('list/a/1', NEVER), undefined)
    assert.equal((await bucket.read('list/a/2', NEVER))?.text, 'list/a/2')
  },
  'an upload in parts is found again, and under its key only when it is complete': async (bucket) => {
    const uploads = new MultipartUploads(bucket)
    const parts = [randomBytes(5 * MIB), randomBytes(1000)]
    const key = 'parts/data'
    const id = await uploads.start(key, NEVER)
    for (const [index, part] of parts.entries()) {
      await uploads.putPart({ key, id }, index + 1, part, { sha256: sha256(part), ...NEVER })
    }
    assert.equal(await bucket.head(key, NEVER), undefined)
    const found: string[] = []
    for await (const upload of uploads.list('parts/', NEVER)) found.push(upload.id)
    assert.deepEqual(found, [id])
    const arrived = await uploads.parts({ key, id }, NEVER)
    assert.deepEqual(
      arrived?.map(({ number, size }) => [number, size]),
      [
        [1, 5 * MIB],
        [2, 1000],
      ],
    )
    assert.equal(await uploads.complete({ key, id }, arrived ?? [], NEVER), true)
    assert.equal((await bucket.head(key, NEVER))?.size, 5 * MIB + 1000)
    const other = await uploads.start(key, NEVER)
    await uploads.abort({ key, id: other }, NEVER)
    assert.equal(await uploads.parts({ key, id: other }, NEVER), undefined)
  },
  'a presigned URL gives the object without credentials': async (bucket) => {
    const bytes = Buffer.from('presigned')
    await bucket.put('signed', bytes, { sha256: sha256(bytes), ...NEVER })
    const url = await bucket.presign('signed', { expiresInSeconds: 60, ...NEVER })
    const response = await fetch(url)
    assert.equal(response.status, 200)
    assert.equal(await response.text(), 'presigned')
  },
  'an object that is copied onto itself is younger, and the same': async (bucket) => {
    const bytes = Buffer.from('refreshed')
    await bucket.put('old', bytes, { sha256: sha256(bytes), ...NEVER })
    await bucket.refresh('old', NEVER)
    assert.equal((await bucket.read('old', NEVER))?.text, 'refreshed')
  },
}
