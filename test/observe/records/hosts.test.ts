import assert from 'node:assert/strict'
import { test } from 'node:test'
import { publish } from '../../../src/observe/events.ts'
import { HostRecords } from '../../../src/observe/records/hosts.ts'

test('requests, failures, circuit, quota and rate limit of a host are in one record', () => {
  const hosts = new HostRecords()
  try {
    const answered = { host: 'ghcr.io', kind: 'blob', method: 'GET', ms: 1 } as const
    publish('upstream.answered', { ...answered, status: 200 })
    publish('upstream.answered', { ...answered, status: 404 })
    publish('upstream.answered', { ...answered, status: 503 })
    publish('upstream.answered', { ...answered, status: undefined })
    publish('upstream.circuit', { host: 'ghcr.io', open: true, reason: 'no answer' })
    publish('upstream.quota', { host: 'ghcr.io', limit: 200, remaining: 5, windowSeconds: 60 })
    const state = hosts.get('ghcr.io')
    assert.equal(state?.requests, 4)
    assert.equal(state.failures, 2)
    assert.equal(state.lastStatus, undefined)
    assert.deepEqual(state.circuit, { open: true, reason: 'no answer' })
    assert.equal(state.quota?.remaining, 5)
    publish('upstream.quota', { host: 'ghcr.io', limit: 200, remaining: 4, windowSeconds: 60 })
    assert.equal(state.quota?.remaining, 4)
    publish('upstream.limited', { host: 'ghcr.io', kind: 'blob', forMs: 5000, isFromPeer: true })
    assert.ok((state.rateLimit?.until ?? 0) > Date.now())
  } finally {
    hosts.close()
  }
})

test('beyond 256 hosts, the host that was not used for longest is dropped', () => {
  const hosts = new HostRecords()
  try {
    const answered = { kind: 'ping', method: 'GET', status: 200, ms: 1 } as const
    for (let i = 0; i < 1000; i++) {
      publish('upstream.answered', { ...answered, host: `h${i}` })
      publish('upstream.answered', { ...answered, host: 'docker.io' })
    }
    assert.equal(hosts.all().length, 256)
    assert.equal(hosts.get('docker.io')?.requests, 1000)
    assert.equal(hosts.get('h0'), undefined)
  } finally {
    hosts.close()
  }
})
