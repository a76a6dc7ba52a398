import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import type { ClusterNode } from '../../testkit/lab/node.ts'
import { startLab } from '../../testkit/lab/start-lab.ts'

const MIB = 1 << 20

/** Resolves when everything that the node has fetched is stored. */
async function untilStored(node: ClusterNode): Promise<void> {
  while ((await node.metric('leat_flights_active')) > 0) await delay(20)
}

test('agents without peers each fetch everything from upstream', {
  timeout: 600_000,
}, async (t) => {
  const lab = await startLab(t, { nodes: 3, rate: 200e6, peers: false, tagTtl: '1h' })
  if (lab === undefined) return
  const { nodes, upstream, network } = lab
  const image = await upstream.makeImage([2 * MIB, MIB, 1000])
  const [config, ...layers] = image.blobs
  const [first, second, third] = nodes
  assert.ok(config && first && second && third)

  await t.test('upstream sends each blob to each node when all pull at once', async () => {
    const before = network.traffic(upstream.machine).sent
    const pulls = await Promise.all(nodes.map((node) => node.pull(image)))
    const traffic = await upstream.trafficOf(image, 3)
    for (const { digest, size } of image.blobs) {
      assert.equal(traffic.sent(digest), 3)
      assert.equal(traffic.bytesOf(digest), 3 * size)
      assert.deepEqual(traffic.clientsOf(digest).sort(), nodes.map((node) => node.machine.address).sort())
    }
    assert.equal(traffic.copiesSent(image), 3)
    const sent = network.traffic(upstream.machine).sent - before
    // The link also carries headers and retransmissions.
    assert.ok(sent > traffic.bytes && sent < traffic.bytes * 1.5, `${sent} for ${traffic.bytes}`)
    for (const pull of pulls) {
      assert.equal(pull.parts.length, 2 + layers.length)
      assert.ok(pull.endedAt > pull.startedAt)
    }
  })

  await t.test('a node serves its next pull from its store', async () => {
    await untilStored(first)
    await upstream.resetTraffic()
    const pulled = await first.pull(image)
    assert.equal((await upstream.traffic()).requests, 0)
    assert.ok(
      pulled.parts.every((part) => part.from === 'leat; hit'),
      JSON.stringify(pulled.parts),
    )
  })

  await t.test('a pull is no faster than the link', async () => {
    network.setRate(second.machine, 16e6)
    const next = await upstream.makeImage([2 * MIB])
    const { startedAt, endedAt, bytes } = await second.pull(next)
    const rate = (bytes * 8000) / (endedAt - startedAt)
    assert.ok(rate < 16.5e6, `${rate} bits per second`)
  })

  await t.test('a registry that denies one node serves the others', async () => {
    const next = await upstream.makeImage([1000])
    await upstream.deny([first.machine])
    try {
      assert.notEqual((await first.tryPull(next)).error, undefined)
      await second.pull(next)
    } finally {
      await upstream.deny([])
    }
    await third.pull(next)
  })

  await t.test('a node that was killed still has its store after the next start', async () => {
    await first.kill()
    await first.start()
    await upstream.resetTraffic()
    await first.pull(image, { reference: image.manifest })
    assert.equal((await upstream.traffic()).requests, 0)
  })

  await t.test('new images cannot be pulled while upstream is down, and can be afterwards', async () => {
    const next = await upstream.makeImage([1000])
    await upstream.pause()
    try {
      assert.notEqual((await third.tryPull(next)).error, undefined)
    } finally {
      await upstream.start()
    }
    await second.pull(next)
  })

  await t.test('the lab reports processor time and memory of an agent', async () => {
    const { cpuSeconds, resident, peak } = first.usage()
    assert.ok(cpuSeconds > 0 && resident > 30 * MIB && peak >= resident)
    await untilStored(first)
  })
})
