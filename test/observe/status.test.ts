import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as v from 'valibot'
import { publish } from '../../src/observe/events.ts'
import { StatusReport } from '../../src/observe/report.ts'
import { Reporter } from '../../src/observe/reporter.ts'
import { parseExposition } from './exposition.ts'
import { flightAttempted, requestEnded } from './facts.ts'
import { ALPINE, digestOf, MemoryNode } from './memory-node.ts'

test('a status tells what the node holds, what it does and whom it asks', async () => {
  const node = new MemoryNode()
  node.put('layer')
  node.reasons.push('the store is still being put in order')
  node.underWay.push({
    digest: digestOf('x'),
    kind: 'blob',
    repository: ALPINE,
    startedAt: Date.now(),
    position: 1,
    size: undefined,
    waiters: 3,
    source: undefined,
  })
  const reporter = new Reporter(node)
  try {
    publish('request.ended', requestEnded({ bytes: 900 }))
    publish('flight.attempted', flightAttempted({ bytes: 300 }))
    publish('upstream.answered', { host: 'ghcr.io', kind: 'blob', method: 'GET', status: 200, ms: 1 })
    publish('upstream.circuit', { host: 'ghcr.io', open: true, reason: 'gone' })
    const status = v.parse(StatusReport, JSON.parse(JSON.stringify(await reporter.status())))
    assert.equal(status.ready, false)
    assert.deepEqual(status.reasons, ['the store is still being put in order'])
    const { scrub, ...store } = status.store
    assert.deepEqual(store, { blobs: 1, bytes: 5, limitBytes: 50 * 2 ** 30, evictedBytes: 7 })
    assert.deepEqual([scrub.state, scrub.found, scrub.lastRound?.found], ['under-way', 1, 2])
    assert.equal(status.flights[0]?.repository, 'docker.io/library/alpine')
    assert.equal(status.flights[0]?.size, null)
    assert.equal(status.served.local, 900)
    assert.equal(status.fetched.upstream, 300)
    assert.equal(status.upstreams[0]?.resting, 'gone')
    assert.deepEqual(reporter.ready(), { ready: false, reasons: ['the store is still being put in order'] })
    const families = parseExposition(reporter.metrics())
    assert.equal(families.get('leat_flight_waiters')?.samples.get('leat_flight_waiters'), 3)
    assert.equal(families.get('leat_build_info')?.samples.get('leat_build_info{version="1.2.3"}'), 1)
  } finally {
    reporter.close()
  }
})

test('a status can be had before clients are answered', async () => {
  const node = new MemoryNode()
  node.registry = undefined
  const reporter = new Reporter(node)
  try {
    const status = v.parse(StatusReport, await reporter.status())
    assert.deepEqual(status.addresses, { registry: null, admin: '127.0.0.1:5051' })
  } finally {
    reporter.close()
  }
})
