import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parsePushQuery } from '../../../../src/registry-api/endpoints/push/push-query.ts'
import { fc } from '../../../../testkit/property-runs.ts'

const SHA256 = `sha256:${'0a'.repeat(32)}`
const SHA512 = `sha512:${'0a'.repeat(64)}`
const NOTHING = { digest: undefined, algorithm: 'sha256', mount: undefined, tags: [] }

test('a query of a push is parsed into values, or refused with a sentence', () => {
  const table: [text: string, expected: object | RegExp][] = [
    ['', NOTHING],
    ['ns=ghcr.io&other=1', NOTHING],
    [`digest=${SHA256}`, { ...NOTHING, digest: SHA256 }],
    [`digest=${encodeURIComponent(SHA512)}`, { ...NOTHING, digest: SHA512, algorithm: 'sha512' }],
    ['digest-algorithm=sha512', { ...NOTHING, algorithm: 'sha512' }],
    [`mount=${SHA256}&from=a/b`, { ...NOTHING, mount: { digest: SHA256, from: 'a/b' } }],
    [`mount=${SHA256}`, NOTHING],
    ['from=a/b', NOTHING],
    ['tag=a&tag=b&tag=a', { ...NOTHING, tags: ['a', 'b'] }],
    ['digest=', /digest is not a digest/],
    ['digest=md5:00', /digest is not a digest/],
    [`mount=${SHA256.slice(1)}&from=a`, /mount is not a digest/],
    ['digest-algorithm=md5', /digest-algorithm is not known/],
    ['tag=..%2Fx', /a tag in the query is not valid/],
    [Array.from({ length: 101 }, (_, index) => `tag=v${index}`).join('&'), /more than 100 tags/],
  ]
  for (const [text, expected] of table) {
    const found = parsePushQuery(text)
    if (expected instanceof RegExp) assert.match(found.ok ? 'accepted' : found.problem, expected, text)
    else assert.deepEqual(found.ok && found.value, expected, text)
  }
})

test('no text makes the parser throw', () => {
  const key = fc.constantFrom('digest', 'mount', 'from', 'tag', 'digest-algorithm')
  const pair = fc.tuple(key, fc.string()).map(([name, value]) => `${name}=${value}`)
  fc.assert(
    fc.property(
      fc.array(pair).map((pairs) => pairs.join('&')),
      (text) => {
        parsePushQuery(text)
      },
    ),
    { seed: 5 },
  )
})
