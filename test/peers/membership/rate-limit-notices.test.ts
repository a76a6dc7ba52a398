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
}

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

test('a notice closes a registry for ten minutes at most, and one that closes nothing is not news', () => {
  const store = new NoticeStore()
  store.add({ ...NOTICE, closedMs: 10 ** 12 }, 0)
  assert.equal(store.latest('a', 0)?.closedMs, 600_000)
  assert.ok(!store.add({ ...NOTICE, pseudonym: 'b', closedMs: 0 }, 0))
  assert.equal(store.latest('b', 0), undefined)
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

test('the 64 latest notices are kept, and none beyond its time', () => {
  const store = new NoticeStore()
  for (let at = 0; at < 1000; at += 1) store.add({ ...NOTICE, pseudonym: `${at}` }, at)
  assert.equal(store.latest('0', 1000), undefined)
  assert.ok(store.latest('936', 1000))
  assert.equal(store.latest('935', 1000), undefined)
  store.expire(60_998)
  assert.ok(store.latest('999', 60_998))
  store.expire(60_999)
  assert.equal(store.latest('999', 60_999), undefined)
})
