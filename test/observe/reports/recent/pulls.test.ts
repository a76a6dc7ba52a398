import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RequestRecord } from '../../../../src/observe/records/journal.ts'
import { pullsOf } from '../../../../src/observe/reports/recent/pulls.ts'
import { ALPINE, digestOf } from '../../memory-node.ts'
import { requestEnded } from '../../sample-events.ts'

const START = Date.parse('2024-05-01T10:00:00Z')

function requestAt(second: number, more: Partial<RequestRecord> = {}): RequestRecord {
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

test('requests for one repository in close succession are one pull', () => {
  const requests = [
    requestAt(1, { reference: '3.20', bytes: 10, source: 'upstream' }),
    requestAt(2, { bytes: 250, times: 2 }),
    requestAt(3, {
      repository: { registry: 'ghcr.io', name: 'acme/app' },
      reference: 'v1',
      source: undefined,
    }),
    requestAt(29, { bytes: 70, source: 'peer' }),
    requestAt(40, { code: 503, source: undefined }),
  ]
  const pulls = pullsOf(requests.toReversed(), []).map(({ parts, ...pull }) => pull)
  assert.deepEqual(pulls, [
    {
      repository: 'docker.io/library/alpine',
      references: ['3.20'],
      startedAt: '2024-05-01T10:00:01.000Z',
      endedAt: '2024-05-01T10:00:40.000Z',
      requests: 5,
      failed: 1,
      failure: 'status 503',
      bytes: { local: 500, inflight: 0, peer: 70, objectStore: 0, upstream: 10 },
    },
    {
      repository: 'ghcr.io/acme/app',
      references: ['v1'],
      startedAt: '2024-05-01T10:00:03.000Z',
      endedAt: '2024-05-01T10:00:03.000Z',
      requests: 1,
      failed: 0,
      failure: null,
      bytes: { local: 0, inflight: 0, peer: 0, objectStore: 0, upstream: 0 },
    },
  ])
})

test('a request after a long pause is another pull, unless it was in progress during the pause', () => {
  assert.equal(pullsOf([requestAt(100), requestAt(1)], []).length, 2)
  assert.equal(pullsOf([requestAt(100, { ms: 90_000 }), requestAt(1)], []).length, 1)
})

test('a pull without a tag is named by the first requested digest', () => {
  const [pull] = pullsOf([requestAt(2), requestAt(1, { reference: digestOf('image') })], [])
  assert.deepEqual(pull?.references, [digestOf('image')])
})

test('at most 20 pulls and 5 tags of each are reported', () => {
  const name = (at: number): RequestRecord['repository'] => ({ registry: 'ghcr.io', name: `app-${at}` })
  const many = Array.from({ length: 500 }, (_, at) => requestAt(-at, { repository: name(at) }))
  const pulls = pullsOf(many, [])
  assert.equal(pulls.length, 20)
  assert.equal(pulls[0]?.repository, 'ghcr.io/app-0')
  const tags = Array.from({ length: 50 }, (_, at) => requestAt(-at, { reference: `v${at}` }))
  assert.equal(pullsOf(tags, [])[0]?.references.length, 5)
})

test('the parts of a pull are reported by their beginning, at most 60, with the reason of a failure', () => {
  const [pull] = pullsOf(
    [
      requestAt(9, { reference: 'v1', ms: 8000 }),
      requestAt(5, { aborted: true }),
      requestAt(4, { code: 404, source: undefined, error: 'no such manifest' }),
    ],
    [],
  )
  assert.deepEqual(
    pull?.parts.map(({ startedAt, ms, error }) => [startedAt.slice(17, 19), ms, error]),
    [
      ['01', 8000, null],
      ['04', 0, 'no such manifest'],
      ['05', 0, 'the client disconnected'],
    ],
  )
  assert.equal(pull?.failure, 'the client disconnected')
  const many = Array.from({ length: 100 }, (_, at) => requestAt(-at / 100))
  assert.equal(pullsOf(many, [])[0]?.parts.length, 60)
})
