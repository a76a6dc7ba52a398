import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import type { MemberId } from '../../../src/peers/identity/member.ts'
import { OwnerRanking, scoreOf } from '../../../src/peers/membership/owner-ranking.ts'
import { fc } from '../../../testkit/property-runs.ts'

const members = (count: number, of = 'member'): MemberId[] =>
  Array.from({ length: count }, (_, at) => hash(`${of} ${at}`).slice(0, 32) as MemberId)
const digests = (count: number): string[] =>
  Array.from({ length: count }, (_, at) => `sha256:${hash(`blob ${at}`)}`)

function hash(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

test('all agents of all versions compute the same owner', () => {
  const ids = members(5)
  const ranking = new OwnerRanking(ids)
  const found = digests(8).map((digest) => ids.indexOf(ranking.owner(digest) as MemberId))
  assert.deepEqual(found, [0, 3, 2, 1, 0, 0, 4, 1])
})

test('without members a key has no owner', () => {
  assert.deepEqual(new OwnerRanking([]).first('sha256:', 3), [])
  assert.equal(new OwnerRanking([]).owner('sha256:'), undefined)
})

test('the ranking depends neither on the order in which members became known nor on how many are requested', () => {
  const ids = fc.uniqueArray(fc.stringMatching(/^[0-9a-f]{4,32}$/), { minLength: 1, maxLength: 40 })
  fc.assert(
    fc.property(ids, fc.string(), fc.nat(), (texts, key, seed) => {
      const known = texts as MemberId[]
      const reordered = [...known].sort((a, b) => scoreOf(`${seed}`, a) - scoreOf(`${seed}`, b))
      const all = new OwnerRanking(known).first(key, known.length)
      assert.deepEqual([...all].sort(), [...known].sort())
      assert.deepEqual(new OwnerRanking([...reordered, ...reordered]).first(key, 3), all.slice(0, 3))
    }),
  )
})

test('every member owns about the same number of keys', () => {
  for (const count of [2, 3, 16, 100]) {
    const ids = members(count)
    const ranking = new OwnerRanking(ids)
    const owned = new Map<MemberId, number>()
    const keys = digests(400 * count)
    for (const key of keys) {
      const owner = ranking.owner(key) as MemberId
      owned.set(owner, (owned.get(owner) ?? 0) + 1)
    }
    // The expected number is 400 with a standard deviation of 20.
    const shares = ids.map((id) => owned.get(id) ?? 0)
    assert.ok(Math.min(...shares) > 300 && Math.max(...shares) < 500, `${count}: ${shares.join(' ')}`)
  }
})

test('keys and ids that differ in one character only are also distributed evenly', () => {
  const ids = Array.from({ length: 10 }, (_, at) => `0000000${at}` as MemberId)
  const ranking = new OwnerRanking(ids)
  const owned = ids.map(() => 0)
  for (let at = 0; at < 10_000; at += 1) {
    const owner = ids.indexOf(ranking.owner(`tag!docker.io/library/app:${at}`) as MemberId)
    owned[owner] = (owned[owner] ?? 0) + 1
  }
  assert.ok(Math.min(...owned) > 850 && Math.max(...owned) < 1150, owned.join(' '))
})

test('the keys of a member that leaves go to the next member in the order of each key, and no other keys move', () => {
  const ids = members(20)
  const [gone] = ids
  const before = new OwnerRanking(ids)
  const after = new OwnerRanking(ids.slice(1))
  const newOwners = new Set<MemberId>()
  for (const key of digests(2000)) {
    const [owner, next] = before.first(key, 2)
    assert.equal(after.owner(key), owner === gone ? next : owner)
    if (owner === gone) newOwners.add(next as MemberId)
  }
  assert.ok(newOwners.size > 15, 'the keys went to few members')
})

test('finding the owner among 5,000 members takes less than 50 ms', () => {
  const ranking = new OwnerRanking(members(5000))
  const keys = digests(200)
  const all = ranking.first(keys[0] ?? '', 5000)
  assert.deepEqual(ranking.first(keys[0] ?? '', 3), all.slice(0, 3))
  // The fastest run counts, since a busy machine makes some runs slow. Comparing all pairs of members would take longer.
  const times = keys.map((key) => {
    const started = performance.now()
    ranking.first(key, 3)
    return performance.now() - started
  })
  assert.ok(Math.min(...times) < 50, `${Math.min(...times)} ms`)
})
