import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CheckedContents } from '../../../src/hosted/bucket/checked-contents.ts'
import { Failure } from '../../../src/ports/failure.ts'
import type { HostedContent, Presence } from '../../../src/ports/hosted/hosted-bucket.ts'
import { digestOf } from '../../../testkit/memory/digests.ts'
import { NEVER, TEAM } from '../lab.ts'

const CONTENT: HostedContent = { repository: TEAM, kind: 'blob', digest: digestOf(Buffer.from('blob')) }
const options = { signal: NEVER }

/** A bucket whose next answers are given. */
function bucketOf(...answers: (Presence | Failure)[]) {
  let asked = 0
  return {
    get asked() {
      return asked
    },
    presence: async (): Promise<Presence> => {
      const answer = answers[asked++] ?? assert.fail('the bucket is asked too often')
      if (answer instanceof Failure) throw answer
      return answer
    },
  }
}

test('a yes is believed until it is old, and a no is not', async () => {
  const bucket = bucketOf('absent', 'absent', 'present')
  const checked = new CheckedContents(bucket)
  await assert.rejects(checked.check(CONTENT, options), { code: 'absent' })
  await assert.rejects(checked.check(CONTENT, options), { code: 'absent' })
  await checked.check(CONTENT, options)
  await checked.check(CONTENT, options)
  assert.equal(bucket.asked, 3)
  const always = bucketOf('present', 'absent')
  const forgetful = new CheckedContents(always, { ttlMs: 0 })
  await forgetful.check(CONTENT, options)
  await assert.rejects(forgetful.check(CONTENT, options), { code: 'absent' })
})

test('what was removed is asked for again, also when an answer from before it comes late', async () => {
  let asked = 0
  const checked: CheckedContents = new CheckedContents({
    presence: async () => {
      asked += 1
      // The first answer is under way while the content is removed.
      if (asked === 1) checked.remove(CONTENT)
      return 'present'
    },
  })
  await checked.check(CONTENT, options)
  await checked.check(CONTENT, options)
  await checked.check(CONTENT, options)
  assert.equal(asked, 2)
  checked.remove(CONTENT)
  await checked.check(CONTENT, options)
  assert.equal(asked, 3)
})

test('a manifest is not checked by a blob of the same digest', async () => {
  const bucket = bucketOf('absent')
  const checked = new CheckedContents(bucket)
  checked.add(CONTENT)
  await assert.rejects(checked.check({ ...CONTENT, kind: 'manifest' }, options), { code: 'absent' })
})

test('a bucket that cannot be asked says nothing, and any other failure is one', async () => {
  const away = (['unavailable', 'stalled', 'busy', 'denied'] as const).map(
    (code) => new Failure(code, 'away'),
  )
  const checked = new CheckedContents(bucketOf(...away, new Failure('stopping', 'stopping')))
  for (const _ of away) await checked.check(CONTENT, options)
  await assert.rejects(checked.check(CONTENT, options), { code: 'stopping' })
})
