import assert from 'node:assert/strict'
import { it } from 'node:test'
import { KnownNameCache } from '../../../src/fetch/known-names/known-name-cache.ts'
import { digestOf } from '../../../testkit/memory/digests.ts'

const alpine = { registry: 'docker.io', name: 'library/alpine' }
const digest = digestOf(Buffer.from('one'))

it('a name that was added is known, and similar names are not', () => {
  const known = new KnownNameCache()
  known.add(alpine, digest)
  known.add({ ...alpine }, digest)
  assert.ok(known.has({ ...alpine }, digest))
  assert.ok(!known.has({ registry: 'docker.io', name: 'library' }, digest))
  assert.ok(!known.has({ registry: 'docker.io/library', name: 'alpine' }, digest))
  assert.ok(!known.has(alpine, digestOf(Buffer.from('two'))))
  known.drop(digest)
  assert.ok(!known.has(alpine, digest))
})

it('the names that were not asked for longest are forgotten', () => {
  const known = new KnownNameCache()
  const digests = Array.from({ length: 20_000 }, (_, n) => digestOf(Buffer.from(String(n))))
  known.add(alpine, digest)
  for (const each of digests) {
    known.add(alpine, each)
    assert.ok(known.has(alpine, digest))
  }
  const left = digests.filter((each) => known.has(alpine, each))
  assert.ok(left.length >= 4000 && left.length <= 10_000, `${left.length}`)
  assert.ok(known.has(alpine, digests.at(-1) ?? digest))
})

it('of a digest that very many repositories have, only the names that were added last are known', () => {
  const known = new KnownNameCache()
  const names = Array.from({ length: 1000 }, (_, n) => ({ registry: 'docker.io', name: `app-${n}` }))
  for (const name of names) known.add(name, digest)
  assert.equal(names.filter((name) => known.has(name, digest)).length, 16)
  assert.ok(known.has({ registry: 'docker.io', name: 'app-999' }, digest))
})
