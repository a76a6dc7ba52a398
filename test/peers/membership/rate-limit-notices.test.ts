import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Tidings, WORDS_AT_ONCE, type Word } from '../../../src/peers/membership/rate-limit-notices.ts'

const WORD: Word = { who: 'a', host: 'registry.test', closedMs: 60_000, quota: undefined, ageMs: 0 }
const quota = (remaining: number) => ({ limit: 100, remaining, windowSeconds: 21_600 })

test('that a registry is closed is news once, and again when it closes for notably longer', () => {
  const tidings = new Tidings()
  assert.ok(tidings.hear(WORD, 0))
  assert.ok(!tidings.hear(WORD, 0))
  assert.ok(!tidings.hear({ ...WORD, closedMs: 60_900 }, 0), 'all who are told at once say about the same')
  assert.ok(!tidings.hear({ ...WORD, closedMs: 5000 }, 100), 'nobody opens it again')
  assert.equal(tidings.heard('a', 1000)?.closedMs, 59_000)
  assert.ok(tidings.hear({ ...WORD, closedMs: 120_000 }, 1000))
  assert.equal(tidings.heard('a', 1000)?.closedMs, 120_000)
  assert.equal(tidings.heard('a', 200_000)?.closedMs, 0)
})

test('nobody keeps one closed for longer than ten minutes from now, or by old news', () => {
  const tidings = new Tidings()
  tidings.hear({ ...WORD, closedMs: 10 ** 12 }, 0)
  assert.equal(tidings.heard('a', 0)?.closedMs, 600_000)
  assert.ok(!tidings.hear({ ...WORD, who: 'b', ageMs: 600_001 }, 0))
  assert.equal(tidings.heard('b', 0), undefined)
})

test('a quota is news when it has changed by a tenth, and not more often than every ten seconds', () => {
  const tidings = new Tidings()
  const word = (remaining: number, ageMs = 0): Word => ({
    ...WORD,
    closedMs: 0,
    quota: quota(remaining),
    ageMs,
  })
  assert.ok(tidings.hear(word(99), 0))
  assert.ok(!tidings.hear(word(95), 20_000))
  assert.equal(tidings.heard('a', 20_000)?.quota?.remaining, 95)
  assert.ok(tidings.hear(word(80), 20_001))
  assert.ok(!tidings.hear(word(60), 25_000))
  assert.ok(!tidings.hear(word(99, 20_000), 30_000), 'older than what is known')
  assert.equal(tidings.heard('a', 30_000)?.quota?.remaining, 60)
  assert.ok(tidings.hear(word(10), 31_000))
})

test('each is passed on a few times, the ones told least first, and not what is too old', () => {
  const tidings = new Tidings()
  for (let at = 0; at < 6; at += 1) tidings.hear({ ...WORD, who: `${at}` }, 0)
  const told = new Map<string, number>()
  for (let round = 0; tidings.hasNews; round += 1) {
    const words = tidings.round(round)
    assert.ok(words.length <= WORDS_AT_ONCE)
    for (const { who } of words) told.set(who, (told.get(who) ?? 0) + 1)
  }
  assert.deepEqual([...told.values()], Array(6).fill(4))
})

test('so many are kept, and none for ever', () => {
  const tidings = new Tidings()
  for (let at = 0; at < 1000; at += 1) tidings.hear({ ...WORD, who: `${at}` }, at)
  assert.equal(tidings.heard('0', 1000), undefined)
  assert.ok(tidings.heard('936', 1000))
  assert.equal(tidings.heard('935', 1000), undefined)
  tidings.expire(700_000)
  assert.equal(tidings.heard('999', 700_000), undefined)
})
