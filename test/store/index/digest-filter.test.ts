import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Digest, digestOf } from '../../../src/oci/digest.ts'
import { DigestFilter } from '../../../src/store/index/digest-filter.ts'

function digests(start: number, count: number): Digest[] {
  return Array.from({ length: count }, (_, at) =>
    digestOf(Buffer.from(`${start + at}`), at % 2 === 0 ? 'sha256' : 'sha512'),
  )
}

test('every digest that was added may be there, and hardly any other one', () => {
  const filter = new DigestFilter()
  const [added, others] = [digests(0, 20_000), digests(20_000, 20_000)]
  for (const digest of added) filter.add(digest)
  assert.ok(added.every((digest) => filter.mayHave(digest)))
  // The digests are the same in each run: this cannot fail by chance.
  assert.ok(others.filter((digest) => filter.mayHave(digest)).length < 20)
})

test('a digest that only begins as another one may be there', () => {
  const filter = new DigestFilter()
  const start = 'a'.repeat(24)
  filter.add(`sha256:${start}${'0'.repeat(40)}` as Digest)
  assert.equal(filter.mayHave(`sha256:${start}${'1'.repeat(40)}` as Digest), true)
  assert.equal(filter.mayHave(`sha256:b${'a'.repeat(63)}` as Digest), false)
})
