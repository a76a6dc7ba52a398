import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { test } from 'node:test'
import type { Reports } from '../../src/admin-api/answer.ts'
import { digestOf } from '../observe/memory-node.ts'
import { AdminFixture, sendRequest } from './admin-fixture.ts'

const fixture = new AdminFixture()

test('a list that fails in the middle, or hangs, is sent as an incomplete body', async () => {
  const blob = { ...(await reportedBlob()), origin: 'x'.repeat(70_000) }
  const reports: Reports = {
    ...workingReports(),
    blobs: async function* () {
      yield blob
      yield blob
      throw new Error('the disk')
    },
    images: async function* () {
      yield await new Promise<never>(() => {})
    },
  }
  const broken = await sendRequest(await fixture.startServer(reports), '/api/v1/blobs')
  assert.deepEqual([broken.status, broken.isComplete], [200, false])
  const hanging = await sendRequest(
    await fixture.startServer(reports, { timeoutMs: 50 }),
    '/api/v1/images',
  ).catch(() => undefined)
  assert.ok(hanging === undefined || !hanging.isComplete)
})

test('a list is produced no faster than it is read, and its producer ends when the client is too slow', async () => {
  let produced = 0
  let ended: (() => void) | undefined
  const closed = new Promise<void>((resolve) => {
    ended = resolve
  })
  const blob = { ...(await reportedBlob()), origin: 'x'.repeat(100_000) }
  const reports: Reports = {
    ...workingReports(),
    blobs: async function* () {
      try {
        for (; produced < 10_000; produced++) yield blob
      } finally {
        ended?.()
      }
    },
  }
  const port = await fixture.startServer(reports, { timeoutMs: 100 })
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  socket.write('GET /api/v1/blobs HTTP/1.1\r\nHost: localhost\r\n\r\n')
  await once(socket, 'readable')
  // The client reads nothing more, so the server closes the connection and the list after the timeout.
  await closed
  socket.destroy()
  assert.ok(produced < 1000, `${produced} values were produced for a client that does not read`)
})

function workingReports(): Reports {
  return {
    ready: () => fixture.reporter.ready(),
    metrics: () => fixture.reporter.metrics(),
    status: () => fixture.reporter.status(),
    pulls: () => fixture.reporter.pulls(),
    history: () => fixture.reporter.history(),
    swarm: () => fixture.reporter.swarm(),
    why: (subject) => fixture.reporter.why(subject),
    blobs: () => fixture.reporter.blobs(),
    events: (signal) => fixture.reporter.events(signal),
    images: () => fixture.reporter.images(),
  }
}

async function reportedBlob() {
  fixture.node.put('layer')
  for await (const blob of fixture.reporter.blobs()) return { ...blob, digest: digestOf('layer') }
  return assert.fail('a blob was put there')
}
