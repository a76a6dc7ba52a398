import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nextLink, pageOf, parsePageRequest } from '../../src/oci/page.ts'
import { fc } from '../../testkit/property-runs.ts'

const ALL = { n: undefined, last: undefined }

test('a page has at most n items and begins after last', () => {
  const list = ['a', 'b', 'c', 'd']
  assert.deepEqual(pageOf(list, ALL), { items: list, next: undefined })
  assert.deepEqual(pageOf(list, { n: 2, last: undefined }), { items: ['a', 'b'], next: 'b' })
  assert.deepEqual(pageOf(list, { n: 2, last: 'b' }), { items: ['c', 'd'], next: undefined })
  assert.deepEqual(pageOf(list, { n: undefined, last: 'bb' }), { items: ['c', 'd'], next: undefined })
  assert.deepEqual(pageOf(list, { n: 100, last: 'z' }), { items: [], next: undefined })
  assert.deepEqual(pageOf(list, { n: 0, last: undefined }), { items: [], next: undefined })
})

test('n is a whole number', () => {
  for (const n of ['-1', '1.5', 'x', '0x1', ' 1']) assert.ok(!parsePageRequest(n, undefined).ok, n)
  assert.deepEqual(parsePageRequest('7', 'x'), { ok: true, value: { n: 7, last: 'x' } })
  assert.deepEqual(parsePageRequest('', undefined), { ok: true, value: ALL })
})

test('the link to the next page keeps the namespace and is relative', () => {
  assert.equal(
    nextLink('/v2/a/tags/list', { n: 2, last: 'b', ns: 'localhost:5000' }),
    '</v2/a/tags/list?ns=localhost%3A5000&n=2&last=b>; rel="next"',
  )
  assert.equal(
    nextLink('/v2/_catalog', { n: 1, last: 'a/b', ns: undefined }),
    '</v2/_catalog?n=1&last=a%2Fb>; rel="next"',
  )
})

test('pages one after the other are the whole list', () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.stringMatching(/^[a-zA-Z0-9._-]{1,5}$/)),
      fc.integer({ min: 1, max: 7 }),
      (tags, n) => {
        const sorted = [...tags].sort()
        const seen: string[] = []
        let last: string | undefined
        do {
          const page = pageOf(sorted, { n, last })
          seen.push(...page.items)
          last = page.next
        } while (last !== undefined)
        assert.deepEqual(seen, sorted)
      },
    ),
  )
})
