import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HttpHeaders } from '../../../src/lib/http1/headers.ts'
import { parseQuota } from '../../../src/upstream/limits/quota.ts'

const parse = (headers: Record<string, string>) => parseQuota(new HttpHeaders(Object.entries(headers)))

test('the quota of Docker Hub is parsed', () => {
  assert.deepEqual(parse({ 'RateLimit-Limit': '200;w=21600', 'ratelimit-remaining': '199;w=21600' }), {
    limit: 200,
    remaining: 199,
    windowSeconds: 21600,
  })
})

test('a quota may consist of the remaining requests only', () => {
  assert.deepEqual(parse({ 'ratelimit-remaining': '0' }), {
    limit: undefined,
    remaining: 0,
    windowSeconds: undefined,
  })
})

test('a quota that is not a number is ignored', () => {
  for (const value of ['', 'many', '-1', '1e9999;w=1'.slice(2), ';w=5', '9'.repeat(400)]) {
    const quota = parse({ 'ratelimit-remaining': value })
    assert.ok(quota === undefined || Number.isSafeInteger(quota.remaining), value)
  }
  assert.equal(parse({ 'ratelimit-limit': '100' }), undefined)
})
