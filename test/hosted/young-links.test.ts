import assert from 'node:assert/strict'
import { test } from 'node:test'
import { YoungLinks } from '../../src/hosted/young-links.ts'
import { SharedLocks } from '../../src/lib/async/shared-locks.ts'
import { digestOf } from '../../testkit/memory/digests.ts'
import { TEAM } from './lab.ts'

const GRACE_MS = 60_000

function linkOfAge(ageMs: number) {
  const digest = digestOf(Buffer.from('x'))
  return { digest, kind: 'blob', mediaType: undefined, linkedAt: Date.now() - ageMs } as const
}

test('a link is renewed once a quarter of the grace period is over, and not before', async () => {
  let renewals = 0
  const catalog = {
    renewLink: async () => {
      renewals += 1
      return true
    },
  }
  const young = new YoungLinks(catalog, new SharedLocks(), GRACE_MS)
  assert.equal(await young.renew(TEAM, linkOfAge(0)), true)
  assert.equal(renewals, 0)
  assert.equal(await young.renew(TEAM, linkOfAge(GRACE_MS / 2)), true)
  assert.equal(renewals, 1)
})

test('a link that is gone is not renewed, and a full disk does not hide one', async () => {
  const gone = new YoungLinks({ renewLink: async () => false }, new SharedLocks(), GRACE_MS)
  assert.equal(await gone.renew(TEAM, linkOfAge(GRACE_MS)), false)
  const full = new YoungLinks(
    { renewLink: () => Promise.reject(new Error('the disk is full')) },
    new SharedLocks(),
    GRACE_MS,
  )
  assert.equal(await full.renew(TEAM, linkOfAge(GRACE_MS)), true)
})
