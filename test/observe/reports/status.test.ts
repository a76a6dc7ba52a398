import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as v from 'valibot'
import { statusText } from '../../../src/cli/commands/reports/status.ts'
import { publish } from '../../../src/observe/events.ts'
import { Reporter } from '../../../src/observe/reports/reporter.ts'
import type { PeerReport } from '../../../src/schemas/peer-report.ts'
import { StatusReport } from '../../../src/schemas/status-report.ts'
import { parseExposition } from '../exposition.ts'
import { ALPINE, digestOf, MemoryNode } from '../memory-node.ts'
import { flightAttempted, peerTransfer, requestEnded } from '../sample-events.ts'

test('a status has the store, the transfers, the upstreams and the readiness of the node', async () => {
  const node = new MemoryNode()
  node.put('layer')
  node.reasons.push('the store is recovering')
  node.activeFlights.push({
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
    assert.deepEqual(status.reasons, ['the store is recovering'])
    const { scrub, ...store } = status.store
    const hosted = { blobs: 0, bytes: 0 }
    assert.deepEqual(store, { blobs: 1, bytes: 5, limitBytes: 50 * 2 ** 30, evictedBytes: 7, hosted })
    assert.deepEqual([scrub.state, scrub.found, scrub.lastRound?.found], ['under-way', 1, 2])
    assert.equal(status.flights[0]?.repository, 'docker.io/library/alpine')
    assert.equal(status.flights[0]?.size, null)
    assert.equal(status.served.local, 900)
    assert.ok(Date.parse(status.lastPullAt ?? '') > 0)
    assert.match(statusText(status, Date.now(), false), /\nrequests {2}1; the last one for an image /)
    assert.match(
      statusText({ ...status, lastPullAt: null }, Date.now(), false),
      /; none for an image since the start/,
    )
    assert.equal(status.fetched.upstream, 300)
    assert.equal(status.upstreams[0]?.resting, 'gone')
    assert.deepEqual(reporter.ready(), { ready: false, reasons: ['the store is recovering'], problems: [] })
    const families = parseExposition(await reporter.metrics())
    assert.equal(families.get('leat_flight_waiters')?.samples.get('leat_flight_waiters'), 3)
    assert.equal(families.get('leat_build_info')?.samples.get('leat_build_info{version="1.2.3"}'), 1)
  } finally {
    reporter.close()
  }
})

const HIDDEN = {
  image: 'docker.io/acme/app:v1',
  digest: digestOf('hidden'),
  servedBy: 'oci /srv/layout',
  servedDigest: digestOf('served'),
}

test('a status names the local sources, and why one cannot be read', async () => {
  const node = new MemoryNode()
  node.localSources.push(
    {
      name: 'oci /srv/layout',
      isExclusive: true,
      repositories: 2,
      problem: undefined,
      hidden: [],
      isCompared: true,
    },
    {
      name: 'dir /srv/none',
      isExclusive: false,
      repositories: undefined,
      problem: '/srv/none does not exist.',
      hidden: [],
      isCompared: true,
    },
    {
      name: 'dir /srv/second',
      isExclusive: false,
      repositories: 2,
      problem: undefined,
      hidden: [HIDDEN],
      isCompared: false,
    },
  )
  const reporter = new Reporter(node)
  try {
    const status = v.parse(StatusReport, JSON.parse(JSON.stringify(await reporter.status())))
    assert.deepEqual(status.sources, [
      {
        name: 'oci /srv/layout',
        exclusive: true,
        repositories: 2,
        problem: null,
        hidden: [],
        compared: true,
      },
      {
        name: 'dir /srv/none',
        exclusive: false,
        repositories: null,
        problem: '/srv/none does not exist.',
        hidden: [],
        compared: true,
      },
      {
        name: 'dir /srv/second',
        exclusive: false,
        repositories: 2,
        problem: null,
        hidden: [HIDDEN],
        compared: false,
      },
    ])
    const text = statusText(status, Date.now(), false)
    assert.match(text, /\nLOCAL SOURCE +REPOSITORIES +EXCLUSIVE +STATE\noci \/srv\/layout +2 +yes +ok\n/)
    assert.match(text, /\ndir \/srv\/none +not readable: \/srv\/none does not exist\.\n/)
    assert.match(text, /\ndir \/srv\/second +2 +ok, 1 image not served \(see doctor\), not all compared\n/)
  } finally {
    reporter.close()
  }
})

test('a status is available before the registry API listens', async () => {
  const node = new MemoryNode()
  node.registry = undefined
  const reporter = new Reporter(node)
  try {
    const status = v.parse(StatusReport, await reporter.status())
    assert.deepEqual(status.addresses, { registry: null, admin: '127.0.0.1:5051', metrics: null })
    assert.equal(status.peers, null)
    assert.match(statusText(status, Date.now(), false), /^peers {5}off$/m)
  } finally {
    reporter.close()
  }
})

function peerOf(number: number, more: Partial<PeerReport> = {}): PeerReport {
  return {
    id: `id-${number}`,
    name: `node-${number}`,
    address: `10.0.0.${number}:5052`,
    zone: null,
    version: '1.2.3',
    understood: true,
    since: new Date(Date.now() - 120_000).toISOString(),
    taken: 0,
    given: 0,
    ...more,
  }
}

test('a status lists the peers, sorted by exchanged bytes', async () => {
  const node = new MemoryNode()
  node.swarm = {
    self: { name: 'node-0', address: '10.0.0.9:5052', zone: 'east' },
    members: [
      ...Array.from({ length: 29 }, (_, at) => peerOf(100 + at)),
      peerOf(1, { given: 2048 }),
      peerOf(2, { taken: 4096, zone: 'we\u001bst', version: '9', understood: false }),
    ],
    taking: [],
  }
  const reporter = new Reporter(node)
  try {
    publish('peer.taken', peerTransfer({ bytes: 4096 }))
    publish('peer.served', peerTransfer({ bytes: 2048 }))
    const status = v.parse(StatusReport, JSON.parse(JSON.stringify(await reporter.status())))
    const { peers } = status
    assert.deepEqual(peers?.self, { name: 'node-0', address: '10.0.0.9:5052', zone: 'east' })
    assert.deepEqual([peers.count, peers.members.length], [31, 31])
    assert.deepEqual(peers.bytes, { in: 4096, out: 2048 })
    assert.deepEqual(
      peers.members.slice(0, 3).map(({ name, understood, zone }) => [name, understood, zone]),
      [
        ['node-2', false, 'we\u001bst'],
        ['node-1', true, null],
        ['node-100', true, null],
      ],
    )
    const text = statusText(status, Date.now(), true)
    assert.match(
      text,
      /^peers {5}31; 4\.0 KiB received, 2\.0 KiB sent; this node is node-0 at 10\.0\.0\.9:5052 in zone east$/m,
    )
    assert.match(text, /^PEER +ADDRESS +ZONE +VERSION +KNOWN FOR +RECEIVED +SENT$/m)
    assert.match(text, /^node-2 +10\.0\.0\.2:5052 +we\?st +9 \(incompatible\) +2m +4\.0 KiB +0 B$/m)
    assert.match(text, /^node-117 .*\nand 11 more\n/m)
    const families = parseExposition(await reporter.metrics())
    assert.equal(families.get('leat_peers_connected')?.samples.get('leat_peers_connected'), 31)
  } finally {
    reporter.close()
  }
})

test('in a very large swarm all peers are counted and 1000 are listed', async () => {
  const node = new MemoryNode()
  const self = { name: 'node-0', address: '10.0.0.9:5052', zone: null }
  node.swarm = { self, members: Array.from({ length: 1500 }, (_, at) => peerOf(at)), taking: [] }
  const reporter = new Reporter(node)
  try {
    const { peers } = await reporter.status()
    assert.deepEqual([peers?.count, peers?.members.length], [1500, 1000])
  } finally {
    reporter.close()
  }
})
