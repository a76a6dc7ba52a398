import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startLab } from './setting.ts'
import type { MadeImage } from './upstream-program.ts'

const MIB = 1 << 20
const MBIT = 1e6

function layerOf({ blobs }: MadeImage): string {
  const [largest] = [...blobs].sort((one, other) => other.size - one.size)
  assert.ok(largest)
  return largest.digest
}

test('two halves that do not reach each other go on, and find each other again', async (t) => {
  const lab = await startLab(t, { nodes: 8, rate: 40 * MBIT, peers: true })
  if (lab === undefined) return
  const { nodes, upstream, network } = lab
  const places = nodes.map((node) => node.place)
  network.partition(places.slice(0, 4), places.slice(4))

  await t.test('each half by itself', async () => {
    const image = await upstream.image([2 * MIB, MIB])
    await Promise.all(nodes.map((node) => node.pull(image, { deadlineMs: 60_000 })))
    const egress = (await upstream.accounts()).egress(image)
    assert.ok(egress >= 1 && egress <= 3, `upstream sent it ${egress} times`)
  })

  await t.test('together again', async () => {
    network.heal()
    await lab.met()
    await upstream.forget()
    const image = await upstream.image([2 * MIB, MIB])
    await Promise.all(nodes.map((node) => node.pull(image)))
    assert.equal((await upstream.accounts()).egress(image), 1)
  })
})

test('a node with a slow link holds up nobody', async (t) => {
  const lab = await startLab(t, { nodes: 8, rate: 40 * MBIT, peers: true })
  if (lab === undefined) return
  const { nodes, upstream, network } = lab
  const [slow, ...others] = nodes
  assert.ok(slow)
  network.setRate(slow.place, 6 * MBIT)

  /** How long it takes where the link is slow, and how long elsewhere; how often upstream has sent it. */
  const pullAll = async (image: MadeImage) => {
    await upstream.forget()
    const [last, ...pulls] = await Promise.all([slow, ...others].map((node) => node.pull(image)))
    assert.ok(last)
    const slowest = Math.max(...pulls.map((pull) => pull.endedAt - pull.startedAt))
    const accounts = await upstream.accounts()
    return { own: last.endedAt - last.startedAt, slowest, egress: accounts.egress(image), accounts }
  }
  /** Whose layer is the slow node's to fetch for all of them, or is not. */
  const imageOf = async (bytes: number, isItsOwn: boolean): Promise<MadeImage> => {
    for (;;) {
      const image = await upstream.image([bytes])
      if ((await slow.owns(layerOf(image))) === isItsOwn) return image
      await upstream.drop(image)
    }
  }

  await t.test('when it takes it from another', async () => {
    const { own, slowest, egress } = await pullAll(await imageOf(12 * MIB, false))
    assert.ok(slowest < own / 2, `${slowest} ms, and ${own} ms where the link is slow`)
    assert.equal(egress, 1)
  })

  await t.test('when it is the one to ask upstream, as all have received something before', async () => {
    const image = await imageOf(16 * MIB, true)
    const { own, slowest, egress, accounts } = await pullAll(image)
    assert.equal(accounts.clientsOf(layerOf(image))[0], slow.place.address)
    assert.ok(slowest < own / 2, `${slowest} ms, and ${own} ms where the link is slow`)
    assert.ok(egress < 1.25, `upstream sent it ${egress} times`)
  })
})

test('one copy crosses the line to a zone', async (t) => {
  const zones = ['east', 'west']
  const zoneOf = (number: number): string => zones[number % zones.length] ?? ''
  const lab = await startLab(t, { nodes: 8, rate: 40 * MBIT, peers: true, zoneOf })
  if (lab === undefined) return
  const { nodes, upstream, network } = lab
  const received = (): number[] => zones.map((zone) => network.trafficOf(zone).received)
  const image = await upstream.image([6 * MIB, 3 * MIB])
  const bytes = image.blobs.reduce((sum, blob) => sum + blob.size, 0)
  const before = received()
  await Promise.all(nodes.map((node) => node.pull(image)))
  const copies = received().map((after, at) => (after - (before[at] ?? 0)) / bytes)
  for (const [at, zone] of zones.entries()) {
    assert.ok((copies[at] ?? 0) < 1.3, `${copies[at]} copies have come to the ${zone}`)
  }
  assert.equal((await upstream.accounts()).egress(image), 1)
})
