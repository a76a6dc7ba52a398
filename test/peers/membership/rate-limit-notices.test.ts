import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  MAX_NOTICES_PER_MESSAGE,
  NoticeStore,
  type PseudonymousNotice,
} from '../../../src/peers/membership/rate-limit-notices.ts'

const NOTICE: PseudonymousNotice = {
  pseudonym: 'a',
  host: 'registry.test',
  closedMs: 60_000,
  quota: undefined,
  ageMs: 0,
}
const quota = (remaining: number) => ({ limit: 100, remaining, windowSeconds: 21_600 })

test('a closed registry is news once, and again when it closes for notably longer', () => {
  const store = new NoticeStore()
  assert.ok(store.add(NOTICE, 0))
  assert.ok(!store.add(NOTICE, 0))
  assert.ok(
    !store.add({ ...NOTICE, closedMs: 60_900 }, 0),
    'members that get a 429 at once report nearly the same end',
  )
  assert.ok(!store.add({ ...NOTICE, closedMs: 5000 }, 100), 'no notice shortens the time')
  assert.equal(store.latest('a', 1000)?.closedMs, 59_000)
  assert.ok(store.add({ ...NOTICE, closedMs: 120_000 }, 1000))
  assert.equal(store.latest('a', 1000)?.closedMs, 120_000)
  assert.equal(store.latest('a', 200_000)?.closedMs, 0)
})

test('a notice closes a registry for ten minutes at most, and old notices are refused', () => {
  const store = new NoticeStore()
  store.add({ ...NOTICE, closedMs: 10 ** 12 }, 0)
  assert.equal(store.latest('a', 0)?.closedMs, 600_000)
  assert.ok(!store.add({ ...NOTICE, pseudonym: 'b', ageMs: 600_001 }, 0))
  assert.equal(store.latest('b', 0), undefined)
})

test('a quota is news when it has changed by a tenth of the limit, and at most every ten seconds', () => {
  const store = new NoticeStore()
  const notice = (remaining: number, ageMs = 0): PseudonymousNotice => ({
    ...NOTICE,
    closedMs: 0,
    quota: quota(remaining),
    ageMs,
  })
  assert.ok(store.add(notice(99), 0))
  assert.ok(!store.add(notice(95), 20_000))
  assert.equal(store.latest('a', 20_000)?.quota?.remaining, 95)
  assert.ok(store.add(notice(80), 20_001))
  assert.ok(!store.add(notice(60), 25_000))
  assert.ok(!store.add(notice(99, 20_000), 30_000), 'the notice is older than the known one')
  assert.equal(store.latest('a', 30_000)?.quota?.remaining, 60)
  assert.ok(store.add(notice(10), 31_000))
})

test('each notice is sent in four rounds, and those sent least often come first', () => {
  const store = new NoticeStore()
  for (let at = 0; at < 6; at += 1) store.add({ ...NOTICE, pseudonym: `${at}` }, 0)
  const sentRounds = new Map<string, number>()
  for (let round = 0; store.hasUnsent; round += 1) {
    const notices = store.takeRound(round)
    assert.ok(notices.length <= MAX_NOTICES_PER_MESSAGE)
    for (const { pseudonym } of notices) sentRounds.set(pseudonym, (sentRounds.get(pseudonym) ?? 0) + 1)
  }
  assert.deepEqual([...sentRounds.values()], Array(6).fill(4))
})

test('the 64 latest notices are kept, and none for more than ten minutes', () => {
  const store = new NoticeStore()
  for (let at = 0; at < 1000; at += 1) store.add({ ...NOTICE, pseudonym: `${at}` }, at)
  assert.equal(store.latest('0', 1000), undefined)
  assert.ok(store.latest('936', 1000))
  assert.equal(store.latest('935', 1000), undefined)
  store.expire(700_000)
  assert.equal(store.latest('999', 700_000), undefined)
})
