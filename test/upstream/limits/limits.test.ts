import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HttpHeaders } from '../../../src/upstream/http/messages.ts'
import { Limits } from '../../../src/upstream/limits/limits.ts'
import type { RateLimitNotice } from '../../../src/upstream/limits/rate-limit-notices.ts'

const MINUTE = 60_000
const ME = { kind: 'manifest', identity: 'me' } as const

function make() {
  const clock = { now: 0 }
  const sent: RateLimitNotice[] = []
  const received = new Map<string, RateLimitNotice>()
  const limits = new Limits({
    host: 'registry.test',
    notices: {
      send: (notice) => sent.push(notice),
      latest: (identity) => received.get(identity),
    },
    now: () => clock.now,
  })
  const answers = (status: number, headers: Record<string, string> = {}): void =>
    limits.record(ME, { status, headers: new HttpHeaders(Object.entries(headers)) })
  const isClosed = (account: Parameters<Limits['check']>[0] = ME): boolean => {
    try {
      limits.check(account)
      return false
    } catch (error) {
      assert.equal((error as { code?: string }).code, 'busy')
      return true
    }
  }
  /** Others say so from now on, without end. */
  const othersSay = (closedMs: number): void =>
    void received.set(ME.identity, { host: 'registry.test', closedMs, quota: undefined, ageMs: 0 })
  return { clock, limits, sent, received, answers, isClosed, othersSay }
}

test('a 429 closes the host for its Retry-After, for that credential and that kind of request only', () => {
  const { clock, sent, answers, isClosed } = make()
  answers(429, { 'retry-after': '30' })
  assert.ok(isClosed())
  assert.ok(!isClosed({ kind: 'blob', identity: 'me, for blobs' }))
  assert.deepEqual(
    sent.map(({ closedMs }) => closedMs),
    [30_000],
  )
  clock.now = 30_000
  assert.ok(!isClosed())
})

test('a Retry-After of one second sends no notice; without Retry-After the host is closed for ten seconds, and never for more than ten minutes', () => {
  const { clock, sent, answers, isClosed } = make()
  answers(429, { 'retry-after': '1' })
  assert.ok(!isClosed())
  assert.equal(sent.length, 0)
  answers(429)
  clock.now = 9999
  assert.ok(isClosed())
  clock.now = 10_000
  assert.ok(!isClosed())
  answers(429, { 'retry-after': '86400' })
  assert.equal(sent.at(-1)?.closedMs, 10 * MINUTE)
  clock.now += 10 * MINUTE
  assert.ok(!isClosed())
})

test('what others say is kept to, but not for longer than ten minutes without having asked', () => {
  const { clock, answers, isClosed, othersSay } = make()
  othersSay(MINUTE)
  const closedFor = (): number => {
    const from = clock.now
    while (isClosed() && clock.now - from < 60 * MINUTE) clock.now += 1000
    return clock.now - from
  }
  assert.equal(closedFor(), 10 * MINUTE)
  assert.ok(!isClosed(), 'they go on saying so')
  answers(200)
  assert.equal(closedFor(), 10 * MINUTE, 'upstream may have closed again')
  clock.now += 5 * MINUTE
  assert.ok(isClosed(), 'long after that it is another matter')
})

test('a quota in a notice replaces an older quota', () => {
  const { limits, received, answers } = make()
  const quota = (remaining: number) => ({ limit: 100, remaining, windowSeconds: 60 })
  const say = (remaining: number, ageMs: number): void => {
    received.set(ME.identity, { host: 'registry.test', closedMs: 0, quota: quota(remaining), ageMs })
    limits.readNotices()
  }
  limits.check(ME)
  say(50, 1000)
  assert.equal(limits.quota?.remaining, 50)
  answers(200, { 'ratelimit-limit': '100;w=60', 'ratelimit-remaining': '40;w=60' })
  say(45, 5000)
  assert.equal(limits.quota?.remaining, 40)
})
