import assert from 'node:assert/strict'
import { test } from 'node:test'
import { expiryOf, RedirectTargets } from '../../../src/upstream/http/redirect-targets.ts'

const REGISTRY = new URL('https://registry.example/v2/a/blobs/x')
const MINUTE = 60_000

const SIGNED: readonly [string, string, string | undefined][] = [
  ['AWS and R2', 'X-Amz-Date=20260131T120000Z&X-Amz-Expires=1200&X-Amz-Signature=s', '2026-01-31T12:20:00Z'],
  ['Google', 'X-Goog-Date=20260131T120000Z&X-Goog-Expires=60&X-Goog-Signature=s', '2026-01-31T12:01:00Z'],
  ['CloudFront', 'Expires=1769860800&Signature=s&Key-Pair-Id=k', '2026-01-31T12:00:00Z'],
  ['Azure', 'se=2026-01-31T12%3A00%3A00Z&sig=s', '2026-01-31T12:00:00Z'],
  ['nothing', 'token=s', undefined],
  ['no number', 'X-Amz-Date=20260131T120000Z&X-Amz-Expires=soon', undefined],
  ['no date', 'X-Amz-Date=20261399T999999Z&X-Amz-Expires=10', undefined],
]

for (const [cloud, query, expected] of SIGNED) {
  test(`the end of a signed URL is read: ${cloud}`, () => {
    const expiry = expiryOf(new URL(`https://storage.example/x?${query}`))
    assert.equal(expiry, expected === undefined ? undefined : Date.parse(expected))
  })
}

test('a URL is remembered until shortly before it expires, and for five minutes at most', () => {
  let now = Date.parse('2026-01-31T12:00:00Z')
  const targets = new RedirectTargets(() => now)
  const short = new URL('https://storage.example/x?X-Amz-Date=20260131T120000Z&X-Amz-Expires=60')
  targets.remember(REGISTRY, short)
  assert.equal(targets.find(REGISTRY), short)
  now += MINUTE - 10_000
  assert.equal(targets.find(REGISTRY), undefined)
  const long = new URL('https://storage.example/x')
  targets.remember(REGISTRY, long)
  now += 5 * MINUTE - 1
  assert.equal(targets.find(REGISTRY), long)
  now += 1
  assert.equal(targets.find(REGISTRY), undefined)
})

test('a URL that has expired, or was forgotten, is not given', () => {
  const targets = new RedirectTargets(() => Date.parse('2026-01-31T13:00:00Z'))
  targets.remember(REGISTRY, new URL('https://storage.example/x?Expires=1769860800'))
  assert.equal(targets.find(REGISTRY), undefined)
  targets.remember(REGISTRY, new URL('https://storage.example/x'))
  targets.forget(REGISTRY)
  assert.equal(targets.find(REGISTRY), undefined)
})
