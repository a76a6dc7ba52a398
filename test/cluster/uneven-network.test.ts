import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { MadeImage } from '../../testkit/lab/programs/upstream-program.ts'
import { startLab } from '../../testkit/lab/start-lab.ts'
import { assertSentOnce, assertShared } from './sent-once.ts'

const MIB = 1 << 20
const MBIT = 1e6
const SLOW = 3 * MBIT

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

/** How long the others take is measured by the bench, because it depends on the machine. */
test('nodes share an image with one that has a slow link', { timeout: 900_000 }, async (t) => {
  const lab = await startLab(t, { nodes: 8, rate: 40 * MBIT, peers: true })
  if (lab === undefined) return
  const { nodes, upstream, network } = lab
  const [slow] = nodes
  assert.ok(slow)

  network.setRate(slow.machine, SLOW)

  const assertAllHave = async (image: MadeImage): Promise<void> => {
    await upstream.resetTraffic()
    await Promise.all(nodes.map((node) => node.pull(image)))
    assertShared(await upstream.trafficOf(image), image, nodes.length)
  }
  /** An image whose layer the slow node owns, or does not own. */
  const imageOf = async (bytes: number, isOwner: boolean): Promise<MadeImage> => {
    for (;;) {
      const image = await upstream.makeImage([bytes])
      if ((await slow.owns(layerOf(image))) === isOwner) return image
      await upstream.drop(image)
    }
  }

  await t.test('when another node owns the layer', async () => assertAllHave(await imageOf(8 * MIB, false)))
  await t.test('when the slow node owns the layer and its download rate is known', async () =>
    assertAllHave(await imageOf(12 * MIB, true)),
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
