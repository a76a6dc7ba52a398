import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { MadeImage } from '../../testkit/lab/programs/upstream-program.ts'
import { startLab } from '../../testkit/lab/start-lab.ts'
import { assertSentOnce, assertShared } from './sent-once.ts'

const MIB = 1 << 20
const MBIT = 1e6
const SLOW = 3 * MBIT
const ATTEMPTS = 3

function layerOf({ blobs }: MadeImage): string {
  const [largest] = [...blobs].sort((one, other) => other.size - one.size)
  assert.ok(largest)
  return largest.digest
}

test('two halves of a partitioned cluster each pull images, and find each other again afterwards', {
  timeout: 900_000,
}, async (t) => {
  const lab = await startLab(t, { nodes: 8, rate: 40 * MBIT, peers: true })
  if (lab === undefined) return
  const { nodes, upstream, network } = lab
  const machines = nodes.map((node) => node.machine)
  const halves = [machines.slice(0, 4), machines.slice(4)]

  await t.test('each half takes copies of its own', async () => {
    network.partition(...halves)
    await upstream.resetTraffic()
    const image = await upstream.makeImage([2 * MIB, MIB])
    await Promise.all(nodes.map((node) => node.pull(image)))
    const traffic = await upstream.trafficOf(image, halves.length)
    assertShared(traffic, image, nodes.length)
    assert.ok(traffic.copiesSent(image) >= halves.length, 'a half has content without a copy of its own')
  })

  await t.test('both take one copy again when the partition has ended', async () => {
    network.heal()
    await lab.untilConnected()
    await assertSentOnce(lab, async () => {
      const image = await upstream.makeImage([2 * MIB, MIB])
      await Promise.all(nodes.map((node) => node.pull(image)))
      return image
    })
  })
})

test('the other nodes do not wait for a node with a slow link', { timeout: 900_000 }, async (t) => {
  const lab = await startLab(t, { nodes: 8, rate: 40 * MBIT, peers: true })
  if (lab === undefined) return
  const { nodes, upstream, network } = lab
  const [slow, ...others] = nodes
  assert.ok(slow)

  network.setRate(slow.machine, SLOW)

  /** Whether the others have the whole image before the slow node has it. */
  const isSlowLast = async (image: MadeImage): Promise<boolean> => {
    await upstream.resetTraffic()
    let isOver = false
    const last = slow.pull(image).finally(() => {
      isOver = true
    })
    // The promise is awaited below, when the others are done.
    last.catch(() => {})
    await Promise.all(others.map((node) => node.pull(image)))
    const isLast = !isOver
    await last
    assertShared(await upstream.trafficOf(image), image, nodes.length)
    return isLast
  }
  /** Tries a few times, because busy processors can delay the other nodes for longer than the link delays the slow one. */
  const assertSlowLast = async (bytes: number, isOwner: boolean): Promise<void> => {
    for (let left = ATTEMPTS; left > 0; left -= 1) {
      if (await isSlowLast(await imageOf(bytes, isOwner))) return
    }
    assert.fail('the others had to wait for the node with the slow link')
  }
  /** An image whose layer the slow node owns, or does not own. */
  const imageOf = async (bytes: number, isOwner: boolean): Promise<MadeImage> => {
    for (;;) {
      const image = await upstream.makeImage([bytes])
      if ((await slow.owns(layerOf(image))) === isOwner) return image
      await upstream.drop(image)
    }
  }

  await t.test('when another node owns the layer', () => assertSlowLast(8 * MIB, false))
  await t.test('when the slow node owns the layer and its download rate is known', () =>
    assertSlowLast(12 * MIB, true),
  )
})

test('content that has crossed the link to a zone is passed on within the zone', {
  timeout: 900_000,
}, async (t) => {
  const zones = ['east', 'west']
  const zoneOf = (number: number): string => zones[number % zones.length] ?? ''
  const lab = await startLab(t, { nodes: 8, rate: 40 * MBIT, peers: true, zoneOf })
  if (lab === undefined) return
  const { nodes, upstream, network } = lab
  const received = (): number[] => zones.map((zone) => network.trafficOf(zone).received)
  await assertSentOnce(lab, async () => {
    const image = await upstream.makeImage([6 * MIB, 3 * MIB])
    const bytes = image.blobs.reduce((sum, blob) => sum + blob.size, 0)
    const before = received()
    await Promise.all(nodes.map((node) => node.pull(image)))
    const copies = received().map((after, at) => (after - (before[at] ?? 0)) / bytes)
    for (const [at, zone] of zones.entries()) {
      const count = copies[at] ?? 0
      // The bench measures how little it is more than one.
      assert.ok(count >= 1 && count < nodes.length / zones.length, `${count} copies have come to the ${zone}`)
    }
    return image
  })
})
