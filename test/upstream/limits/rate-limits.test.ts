import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HttpHeaders } from '../../../src/lib/http1/headers.ts'
import type { RateLimitNotice } from '../../../src/upstream/limits/rate-limit-notices.ts'
import { RateLimits } from '../../../src/upstream/limits/rate-limits.ts'

const MINUTE = 60_000
const SUBJECT = { kind: 'manifest', id: 'a' } as const

function createLimits() {
  const clock = { now: 0 }
  const sent: RateLimitNotice[] = []
  const received = new Map<string, RateLimitNotice>()
  const limits = new RateLimits({
    host: 'registry.test',
    notices: {
      send: (notice) => sent.push(notice),
      latest: (subjectId) => received.get(subjectId),
    },
    now: () => clock.now,
  })
  const answer = (status: number, headers: Record<string, string> = {}): void =>
    limits.record(SUBJECT, { status, headers: new HttpHeaders(Object.entries(headers)) })
  const isClosed = (subject: Parameters<RateLimits['check']>[0] = SUBJECT): boolean => {
    try {
      limits.check(subject)
      return false
    } catch (error) {
      assert.equal((error as { code?: string }).code, 'busy')
      return true
    }
  }
  /** Other agents send this notice again and again. */
  const receiveNotice = (closedMs: number): void =>
    void received.set(SUBJECT.id, { host: 'registry.test', closedMs })
  return { clock, limits, sent, received, answer, isClosed, receiveNotice }
}

test('a 429 closes the host for its Retry-After, for requests of the same subject only', () => {
  const { clock, sent, answer, isClosed } = createLimits()
  answer(429, { 'retry-after': '30' })
  assert.ok(isClosed())
  assert.ok(!isClosed({ kind: 'blob', id: 'b' }))
  assert.deepEqual(
    sent.map(({ closedMs }) => closedMs),
    [30_000],
  )
  clock.now = 30_000
  assert.ok(!isClosed())
})

test('a Retry-After of one second sends no notice; without Retry-After the host is closed for ten seconds, and never for more than ten minutes', () => {
  const { clock, sent, answer, isClosed } = createLimits()
  answer(429, { 'retry-after': '1' })
  assert.ok(!isClosed())
  assert.equal(sent.length, 0)
  answer(429)
  clock.now = 9999
  assert.ok(isClosed())
  clock.now = 10_000
  assert.ok(!isClosed())
  answer(429, { 'retry-after': '86400' })
  assert.equal(sent.at(-1)?.closedMs, 10 * MINUTE)
  clock.now += 10 * MINUTE
  assert.ok(!isClosed())
})

test('notices of other agents close the host, but for no more than ten minutes without a request of this node', () => {
  const { clock, answer, isClosed, receiveNotice } = createLimits()
  receiveNotice(MINUTE)
  const closedFor = (): number => {
    const from = clock.now
    while (isClosed() && clock.now - from < 60 * MINUTE) clock.now += 1000
    return clock.now - from
  }
  assert.equal(closedFor(), 10 * MINUTE)
  assert.ok(!isClosed(), 'the notices go on')
  answer(200)
  assert.equal(closedFor(), 10 * MINUTE, 'after an answer, notices close the host again')
  clock.now += 5 * MINUTE
  assert.ok(isClosed(), 'after a minute without notices, the limit of ten minutes begins anew')
})
