import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RequestEntry } from '../../../src/observe/records/journal.ts'
import { pullsOf } from '../../../src/observe/reports/pulls.ts'
import { requestEnded } from '../facts.ts'
import { ALPINE, digestOf } from '../memory-node.ts'

const START = Date.parse('2024-05-01T10:00:00Z')

function entry(second: number, more: Partial<RequestEntry> = {}): RequestEntry {
  return {
    ...requestEnded({ ms: 0 }),
    repository: ALPINE,
    reference: digestOf('layer'),
    firstAt: START + 1000 * second,
    at: START + 1000 * second,
    times: 1,
    ...more,
  }
}

test('requests for one repository that follow each other closely are one pull', () => {
  const requests = [
    entry(1, { reference: '3.20', bytes: 10, source: 'upstream' }),
    entry(2, { bytes: 250, times: 2 }),
    entry(3, { repository: { registry: 'ghcr.io', name: 'acme/app' }, reference: 'v1', source: undefined }),
    entry(29, { bytes: 70, source: 'peer' }),
    entry(40, { code: 503, source: undefined }),
  ]
  assert.deepEqual(pullsOf(requests.toReversed()), [
    {
      repository: 'docker.io/library/alpine',
      references: ['3.20'],
      startedAt: '2024-05-01T10:00:01.000Z',
      endedAt: '2024-05-01T10:00:40.000Z',
      requests: 5,
      failed: 1,
      bytes: { local: 500, inflight: 0, peer: 70, upstream: 10 },
    },
    {
      repository: 'ghcr.io/acme/app',
      references: ['v1'],
      startedAt: '2024-05-01T10:00:03.000Z',
      endedAt: '2024-05-01T10:00:03.000Z',
      requests: 1,
      failed: 0,
      bytes: { local: 0, inflight: 0, peer: 0, upstream: 0 },
    },
  ])
})

test('after a while it is another pull, unless a long answer was under way meanwhile', () => {
  assert.equal(pullsOf([entry(100), entry(1)]).length, 2)
  assert.equal(pullsOf([entry(100, { ms: 90_000 }), entry(1)]).length, 1)
})

test('without a tag it is named by the digest that was asked for first', () => {
  const [pull] = pullsOf([entry(2), entry(1, { reference: digestOf('image') })])
  assert.deepEqual(pull?.references, [digestOf('image')])
})

test('however much is remembered, only so many pulls and tags are told', () => {
  const name = (at: number): RequestEntry['repository'] => ({ registry: 'ghcr.io', name: `app-${at}` })
  const many = Array.from({ length: 500 }, (_, at) => entry(-at, { repository: name(at) }))
  const pulls = pullsOf(many)
  assert.equal(pulls.length, 20)
  assert.equal(pulls[0]?.repository, 'ghcr.io/app-0')
  const tags = Array.from({ length: 50 }, (_, at) => entry(-at, { reference: `v${at}` }))
  assert.equal(pullsOf(tags)[0]?.references.length, 5)
})
