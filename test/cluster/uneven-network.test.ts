import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { MadeImage } from '../../testkit/lab/programs/upstream-program.ts'
import { startLab } from '../../testkit/lab/start-lab.ts'
import { assertSentOnce, assertShared } from './sent-once.ts'

const MIB = 1 << 20
const MBIT = 1e6
const SLOW = 6 * MBIT
const ATTEMPTS = 3

function layerOf({ blobs }: MadeImage): string {
  const [largest] = [...blobs].sort((one, other) => other.size - one.size)
  assert.ok(largest)
  return largest.digest
}

test('two halves that do not reach each other go on, and find each other again', {
  timeout: 900_000,
}, async (t) => {
  const lab = await startLab(t, { nodes: 8, rate: 40 * MBIT, peers: true })
  if (lab === undefined) return
  const { nodes, upstream, network } = lab
  const places = nodes.map((node) => node.place)
  const halves = [places.slice(0, 4), places.slice(4)]

  await t.test('each half by itself', async () => {
    network.partition(...halves)
    await upstream.forget()
    const image = await upstream.image([2 * MIB, MIB])
    await Promise.all(nodes.map((node) => node.pull(image)))
    const accounts = await upstream.accountsOf(image, halves.length)
    assertShared(accounts, image, nodes.length)
    assert.ok(accounts.egress(image) >= halves.length, 'a half has something that it cannot have')
  })

  await t.test('together again', async () => {
    network.heal()
    await lab.met()
    await assertSentOnce(lab, async () => {
      const image = await upstream.image([2 * MIB, MIB])
      await Promise.all(nodes.map((node) => node.pull(image)))
      return image
    })
  })
})

test('a node with a slow link holds up nobody', { timeout: 900_000 }, async (t) => {
  const lab = await startLab(t, { nodes: 8, rate: 40 * MBIT, peers: true })
  if (lab === undefined) return
  const { nodes, upstream, network } = lab
  const [slow, ...others] = nodes
  assert.ok(slow)

  // Also later, as what it has received tells the others how fast it is.
  network.setRate(slow.place, SLOW)

  /** Whether the others have got all of it while the slow one has not. */
  const arePast = async (image: MadeImage): Promise<boolean> => {
    await upstream.forget()
    let isOver = false
    const last = slow.pull(image).finally(() => {
      isOver = true
    })
    // It is awaited below, when the others are done.
    last.catch(() => {})
    await Promise.all(others.map((node) => node.pull(image)))
    const isPast = !isOver
    await last
    assertShared(await upstream.accountsOf(image), image, nodes.length)
    return isPast
  }
  /** In one attempt out of a few, as on a busy machine the processors may hold up all of them for longer than the link. */
  const assertPast = async (bytes: number, isItsOwn: boolean): Promise<void> => {
    for (let left = ATTEMPTS; left > 0; left -= 1) {
      if (await arePast(await imageOf(bytes, isItsOwn))) return
    }
    assert.fail('the others had to wait for the one with the slow link')
  }
  /** Whose layer is the slow node's to fetch for all of them, or is not. */
  const imageOf = async (bytes: number, isItsOwn: boolean): Promise<MadeImage> => {
    for (;;) {
      const image = await upstream.image([bytes])
      if ((await slow.owns(layerOf(image))) === isItsOwn) return image
      await upstream.drop(image)
    }
  }

  await t.test('when it takes it from another', () => assertPast(8 * MIB, false))
  await t.test('when it is the one to ask upstream, as all have received something before', () =>
    assertPast(12 * MIB, true),
  )
})

test('what crosses the line to a zone is passed on there', { timeout: 900_000 }, async (t) => {
  const zones = ['east', 'west']
  const zoneOf = (number: number): string => zones[number % zones.length] ?? ''
  const lab = await startLab(t, { nodes: 8, rate: 40 * MBIT, peers: true, zoneOf })
  if (lab === undefined) return
  const { nodes, upstream, network } = lab
  const received = (): number[] => zones.map((zone) => network.trafficOf(zone).received)
  await assertSentOnce(lab, async () => {
    const image = await upstream.image([6 * MIB, 3 * MIB])
    const bytes = image.blobs.reduce((sum, blob) => sum + blob.size, 0)
    const before = received()
    await Promise.all(nodes.map((node) => node.pull(image)))
    const copies = received().map((after, at) => (after - (before[at] ?? 0)) / bytes)
    for (const [at, zone] of zones.entries()) {
      const here = copies[at] ?? 0
      // How little it is more than one is for the bench to say.
      assert.ok(here >= 1 && here < nodes.length / zones.length, `${here} copies have come to the ${zone}`)
    }
    return image
  })
})
