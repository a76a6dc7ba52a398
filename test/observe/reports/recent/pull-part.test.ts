import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { FlightRecord, RequestRecord } from '../../../../src/observe/records/journal.ts'
import { pullPart } from '../../../../src/observe/reports/recent/pull-part.ts'
import { ALPINE, digestOf } from '../../memory-node.ts'
import { flightAttempted, flightEnded, peerTransfer, requestEnded } from '../../sample-events.ts'

const START = Date.parse('2024-05-01T10:00:00Z')
const LAYER = digestOf('layer')

function request(more: Partial<RequestRecord> = {}): RequestRecord {
  return {
    ...requestEnded({ ms: 2000, source: 'peer' }),
    repository: ALPINE,
    reference: LAYER,
    firstAt: START + 2000,
    at: START + 2000,
    times: 1,
    ...more,
  }
}

const flight: FlightRecord = {
  digest: LAYER,
  kind: 'blob',
  repository: ALPINE,
  resumedAt: 0,
  startedAt: START + 500,
  attempts: [
    flightAttempted({ source: 'peers', sourceKind: 'peer', bytes: 500 }),
    flightAttempted({ source: 'mirror.test', bytes: 0 }),
    flightAttempted({ source: 'registry.test', bytes: 500 }),
  ],
  peerSteps: [
    { is: 'taken', afterMs: 1, event: peerTransfer({ name: 'node-b', bytes: 500 }) },
    { is: 'taken', afterMs: 2, event: peerTransfer({ name: 'node-c', bytes: 0 }) },
  ],
  ended: flightEnded({ ms: 1000 }),
}

function contributors(given: RequestRecord, flights: readonly FlightRecord[]): readonly string[] {
  return pullPart(given, new Map([[LAYER, flights]])).from
}

test('a part names the peers and the hosts that brought its bytes', () => {
  assert.deepEqual(contributors(request(), [flight]), ['node-b', 'registry.test'])
  assert.deepEqual(contributors(request({ source: 'inflight' }), [{ ...flight, ended: undefined }]), [
    'node-b',
    'registry.test',
  ])
})

test('a part from the store, of a tag, or at another time than the flight names nobody', () => {
  assert.deepEqual(contributors(request({ source: 'local' }), [flight]), [])
  assert.deepEqual(contributors(request({ reference: 'v1' }), [flight]), [])
  const later = { firstAt: START + 9000, at: START + 9000 }
  assert.deepEqual(contributors(request(later), [flight]), [])
  assert.deepEqual(contributors(request(later), [{ ...flight, startedAt: START + 8000 }, flight]), [
    'node-b',
    'registry.test',
  ])
})

test('a part lasts from the first of identical requests to the last one', () => {
  const part = pullPart(request({ at: START + 2700, times: 3 }), new Map())
  assert.deepEqual([part.startedAt, part.ms, part.times], ['2024-05-01T10:00:00.000Z', 2700, 3])
})
