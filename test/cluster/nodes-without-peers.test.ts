import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import type { ClusterNode } from '../../testkit/lab/node.ts'
import { startLab } from '../../testkit/lab/start-lab.ts'

const MIB = 1 << 20

/** Resolves when all that the node has let through is stored as well. */
async function landed(node: ClusterNode): Promise<void> {
  while ((await node.metric('leat_flights_active')) > 0) await delay(20)
}

test('agents that know nothing of each other fetch everything each for itself', {
  timeout: 600_000,
}, async (t) => {
  const lab = await startLab(t, { nodes: 3, rate: 200e6, peers: false, tagTtl: '1h' })
  if (lab === undefined) return
  const { nodes, upstream, network } = lab
  const image = await upstream.image([2 * MIB, MIB, 1000])
  const [config, ...layers] = image.blobs
  const [first, second, third] = nodes
  assert.ok(config && first && second && third)

  await t.test('all at once, and upstream sends each blob to each of them', async () => {
    const before = network.traffic(upstream.place).sent
    const pulls = await Promise.all(nodes.map((node) => node.pull(image)))
    const accounts = await upstream.accountsOf(image, 3)
    for (const { digest, size } of image.blobs) {
      assert.equal(accounts.sent(digest), 3)
      assert.equal(accounts.bytesOf(digest), 3 * size)
      assert.deepEqual(accounts.clientsOf(digest).sort(), nodes.map((node) => node.place.address).sort())
    }
    assert.equal(accounts.egress(image), 3)
    const sent = network.traffic(upstream.place).sent - before
    // Besides headers there is what TCP has sent again.
    assert.ok(sent > accounts.bytes && sent < accounts.bytes * 1.5, `${sent} for ${accounts.bytes}`)
    for (const pull of pulls) {
      assert.equal(pull.parts.length, 2 + layers.length)
      assert.ok(pull.endedAt > pull.startedAt)
    }
  })

  await t.test('the next pull of a node comes from the node', async () => {
    await landed(first)
    await upstream.forget()
    const pulled = await first.pull(image)
    assert.equal((await upstream.accounts()).requests, 0)
    assert.ok(
      pulled.parts.every((part) => part.from === 'leat; hit'),
      JSON.stringify(pulled.parts),
    )
  })

  await t.test('a pull is no faster than the link', async () => {
    network.setRate(second.place, 16e6)
    const next = await upstream.image([2 * MIB])
    const { startedAt, endedAt, bytes } = await second.pull(next)
    const rate = (bytes * 8000) / (endedAt - startedAt)
    assert.ok(rate < 16.5e6, `${rate} bits per second`)
  })

  await t.test('a closed door is closed for those it was closed for', async () => {
    const next = await upstream.image([1000])
    await upstream.deny([first.place])
    try {
      assert.notEqual((await first.tryPull(next)).wrong, undefined)
      await second.pull(next)
    } finally {
      await upstream.deny([])
    }
    await third.pull(next)
  })

  await t.test('a node that was killed comes back with what it has kept', async () => {
    await first.kill()
    await first.start()
    await upstream.forget()
    await first.pull(image, { reference: image.manifest })
    assert.equal((await upstream.accounts()).requests, 0)
  })

  await t.test('while upstream is away nothing new comes, and afterwards it does', async () => {
    const next = await upstream.image([1000])
    await upstream.pause()
    try {
      assert.notEqual((await third.tryPull(next)).wrong, undefined)
    } finally {
      await upstream.start()
    }
    await second.pull(next)
  })

  await t.test('what the agents cost is seen', async () => {
    const { cpuSeconds, resident, peak } = first.usage()
    assert.ok(cpuSeconds > 0 && resident > 30 * MIB && peak >= resident)
    await landed(first)
  })
})
