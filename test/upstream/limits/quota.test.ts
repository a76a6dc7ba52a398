import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HttpHeaders } from '../../../src/upstream/http/messages.ts'
import { readQuota } from '../../../src/upstream/limits/quota.ts'

const read = (headers: Record<string, string>) => readQuota(new HttpHeaders(Object.entries(headers)))

test("reads Docker Hub's quota", () => {
  assert.deepEqual(read({ 'RateLimit-Limit': '200;w=21600', 'ratelimit-remaining': '199;w=21600' }), {
    limit: 200,
    remaining: 199,
    windowSeconds: 21600,
  })
})

test('a quota may say no more than what is left', () => {
  assert.deepEqual(read({ 'ratelimit-remaining': '0' }), {
    limit: undefined,
    remaining: 0,
    windowSeconds: undefined,
  })
})

test('what is no number is no quota', () => {
  for (const value of ['', 'many', '-1', '1e9999;w=1'.slice(2), ';w=5', '9'.repeat(400)]) {
    const quota = read({ 'ratelimit-remaining': value })
    assert.ok(quota === undefined || Number.isSafeInteger(quota.remaining), value)
  }
  assert.equal(read({ 'ratelimit-limit': '100' }), undefined)
})
