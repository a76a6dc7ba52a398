import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Events, subscribe } from '../../../src/observe/events.ts'
import type { Digest } from '../../../src/oci/digest.ts'
import { BucketLookups, LOOKUP_POLICY } from '../../../src/redirects/buckets/bucket-lookups.ts'
import { digestOf } from '../../../testkit/memory/digests.ts'

const REPOSITORY = { registry: 'reg.test', name: 'app' }
const [HAD, MISSING] = [digestOf(Buffer.from('had')), digestOf(Buffer.from('missing'))]

/** A bucket that has one blob, and answers when the test says so. */
class Bucket {
  asked: Digest[] = []
  answersAfter: Promise<void> = Promise.resolve()
  failure: Error | undefined

  async has(_repository: unknown, digest: Digest, { signal }: { signal: AbortSignal }): Promise<boolean> {
    this.asked.push(digest)
    const aborted = new Promise<never>((_resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason))
    })
    await Promise.race([this.answersAfter, aborted])
    if (this.failure !== undefined) throw this.failure
    return digest === HAD
  }

  async url(digest: Digest): Promise<string> {
    return `https://bucket.test/${digest}`
  }

  async open(): Promise<void> {}

  async close(): Promise<void> {}
}

function lookups(policy: Partial<typeof LOOKUP_POLICY> = {}) {
  const bucket = new Bucket()
  const lookups = new BucketLookups('s3://bucket', bucket, { ...LOOKUP_POLICY, ...policy })
  return { bucket, locate: (digest: Digest) => lookups.locate(REPOSITORY, digest, 'GET'), lookups }
}

test('a blob is asked for once, whether it was found or not', async () => {
  const { bucket, locate } = lookups()
  for (let i = 0; i < 3; i += 1) {
    assert.equal(await locate(HAD), `https://bucket.test/${HAD}`)
    assert.equal(await locate(MISSING), undefined)
  }
  assert.deepEqual(bucket.asked, [HAD, MISSING])
})

test('a blob is asked for again when its answer is too old', async () => {
  const { bucket, locate } = lookups({ foundMs: 0, missingMs: 0 })
  for (const digest of [HAD, HAD, MISSING, MISSING]) await locate(digest)
  assert.deepEqual(bucket.asked, [HAD, HAD, MISSING, MISSING])
})

test('clients that want the same blob at once share one question', async () => {
  const { bucket, locate } = lookups()
  let answer = () => {}
  bucket.answersAfter = new Promise((resolve) => {
    answer = resolve
  })
  const all = Promise.all([locate(HAD), locate(HAD), locate(HAD)])
  answer()
  assert.equal(new Set(await all).size, 1)
  assert.equal(bucket.asked.length, 1)
})

test('no more than so many blobs are asked for at once', async () => {
  const { bucket, locate } = lookups({ mostAtOnce: 1 })
  let answer = () => {}
  bucket.answersAfter = new Promise((resolve) => {
    answer = resolve
  })
  const first = locate(HAD)
  assert.equal(await locate(digestOf(Buffer.from('other'))), undefined)
  answer()
  assert.notEqual(await first, undefined)
})

test('a bucket that fails or is silent is not asked for a moment, which is told once', async (t) => {
  const told: Events['redirect.looked-up'][] = []
  t.after(subscribe('redirect.looked-up', (event) => told.push(event)))
  const failing = lookups()
  failing.bucket.failure = new Error('s3://bucket: ECONNREFUSED.')
  assert.deepEqual(await Promise.all([failing.locate(HAD), failing.locate(MISSING)]), [undefined, undefined])
  assert.equal(await failing.locate(digestOf(Buffer.from('next'))), undefined)
  assert.equal(failing.bucket.asked.length, 2)
  assert.deepEqual(told, [
    { bucket: 's3://bucket', outcome: 'failed', problem: 's3://bucket: ECONNREFUSED.' },
  ])

  const silent = lookups({ deadlineMs: 1 })
  silent.bucket.answersAfter = new Promise(() => {})
  assert.equal(await silent.locate(HAD), undefined)
})

test('after a pause the bucket is asked again', async () => {
  const { bucket, locate } = lookups({ pauseMs: 0 })
  bucket.failure = new Error('down')
  assert.equal(await locate(HAD), undefined)
  bucket.failure = undefined
  assert.equal(await locate(HAD), `https://bucket.test/${HAD}`)
})

test('at the end no question is waited for', async () => {
  const { bucket, locate, lookups: owner } = lookups()
  bucket.answersAfter = new Promise(() => {})
  const waiting = locate(HAD)
  await owner.close()
  assert.equal(await waiting, undefined)
})
