import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import type { MemberId } from '../../../src/peers/identity/member.ts'
import { drawOf, Ranks } from '../../../src/peers/membership/owner.ts'

const members = (count: number, of = 'member'): MemberId[] =>
  Array.from({ length: count }, (_, at) => hash(`${of} ${at}`).slice(0, 32) as MemberId)
const digests = (count: number): string[] =>
  Array.from({ length: count }, (_, at) => `sha256:${hash(`blob ${at}`)}`)

function hash(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

test('all agents of all versions come to the same owner', () => {
  const ids = members(5)
  const ranks = new Ranks(ids)
  const found = digests(8).map((digest) => ids.indexOf(ranks.owner(digest) as MemberId))
  assert.deepEqual(found, [0, 3, 2, 1, 0, 0, 4, 1])
})

test('nobody owns anything where nobody is', () => {
  assert.deepEqual(new Ranks([]).first('sha256:', 3), [])
  assert.equal(new Ranks([]).owner('sha256:'), undefined)
})

test('the ranks do not depend on the order in which members became known, or on how many are asked for', () => {
  const ids = fc.uniqueArray(fc.stringMatching(/^[0-9a-f]{4,32}$/), { minLength: 1, maxLength: 40 })
  fc.assert(
    fc.property(ids, fc.string(), fc.nat(), (texts, key, seed) => {
      const known = texts as MemberId[]
      const turned = [...known].sort((a, b) => drawOf(`${seed}`, a) - drawOf(`${seed}`, b))
      const all = new Ranks(known).first(key, known.length)
      assert.deepEqual([...all].sort(), [...known].sort())
      assert.deepEqual(new Ranks([...turned, ...turned]).first(key, 3), all.slice(0, 3))
    }),
  )
})

test('every member owns about as much as any other', () => {
  for (const count of [2, 3, 16, 100]) {
    const ids = members(count)
    const ranks = new Ranks(ids)
    const owned = new Map<MemberId, number>()
    const keys = digests(400 * count)
    for (const key of keys) {
      const owner = ranks.owner(key) as MemberId
      owned.set(owner, (owned.get(owner) ?? 0) + 1)
    }
    // 400 each, give or take 20 (one standard deviation).
    const shares = ids.map((id) => owned.get(id) ?? 0)
    assert.ok(Math.min(...shares) > 300 && Math.max(...shares) < 500, `${count}: ${shares.join(' ')}`)
  }
})

test('also for keys and members that differ in one character only', () => {
  const ids = Array.from({ length: 10 }, (_, at) => `0000000${at}` as MemberId)
  const ranks = new Ranks(ids)
  const owned = ids.map(() => 0)
  for (let at = 0; at < 10_000; at += 1) {
    const owner = ids.indexOf(ranks.owner(`tag!docker.io/library/app:${at}`) as MemberId)
    owned[owner] = (owned[owner] ?? 0) + 1
  }
  assert.ok(Math.min(...owned) > 850 && Math.max(...owned) < 1150, owned.join(' '))
})

test('what a member owned goes to those who were next, and nothing else moves', () => {
  const ids = members(20)
  const [gone] = ids
  const before = new Ranks(ids)
  const after = new Ranks(ids.slice(1))
  const heirs = new Set<MemberId>()
  for (const key of digests(2000)) {
    const [owner, next] = before.first(key, 2)
    assert.equal(after.owner(key), owner === gone ? next : owner)
    if (owner === gone) heirs.add(next as MemberId)
  }
  assert.ok(heirs.size > 15, 'all of it went to a few')
})

test('the owner among 5,000 is found in a moment', () => {
  const ranks = new Ranks(members(5000))
  const keys = digests(200)
  const all = ranks.first(keys[0] ?? '', 5000)
  assert.deepEqual(ranks.first(keys[0] ?? '', 3), all.slice(0, 3))
  // The fastest of many: a busy machine makes some of them slow, but not all. To compare each with each takes longer.
  const times = keys.map((key) => {
    const started = performance.now()
    ranks.first(key, 3)
    return performance.now() - started
  })
  assert.ok(Math.min(...times) < 50, `${Math.min(...times)} ms`)
})
