import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import type { Lab } from '../../testkit/lab/lab.ts'
import type { MadeImage } from '../../testkit/lab/programs/upstream-program.ts'
import { startLab } from '../../testkit/lab/start-lab.ts'
import { assertSentOnce } from './sent-once.ts'

const MIB = 1 << 20
const MBIT = 1e6

/** Resolves when upstream has sent this part of the image. */
async function untilSent({ upstream }: Lab, image: MadeImage, part: number): Promise<void> {
  while ((await upstream.traffic()).copiesSent(image) < part) await delay(20)
}

test('eight nodes with peers take one copy of an image from upstream', { timeout: 900_000 }, async (t) => {
  const lab = await startLab(t, { nodes: 8, rate: 40 * MBIT, peers: true, tagTtl: '1h' })
  if (lab === undefined) return
  const { nodes, upstream } = lab

  await t.test('when all pull at once', () =>
    assertSentOnce(lab, async () => {
      const image = await upstream.makeImage([3 * MIB, 2 * MIB, MIB + 17, 1000])
      await Promise.all(nodes.map((node) => node.pull(image)))
      return image
    }),
  )

  await t.test('when one pulls after the other', () =>
    assertSentOnce(lab, async () => {
      const image = await upstream.makeImage([MIB, MIB])
      for (const node of nodes) await node.pull(image)
      return image
    }),
  )

  await t.test('when some begin after others have half of it', () =>
    assertSentOnce(lab, async () => {
      const image = await upstream.makeImage([4 * MIB])
      const early = Promise.all(nodes.slice(0, 4).map((node) => node.pull(image)))
      await untilSent(lab, image, 0.5)
      await Promise.all(nodes.slice(4).map((node) => node.pull(image)))
      await early
      return image
    }),
  )

  await t.test('when a new node joins, which takes everything from others', () =>
    assertSentOnce(lab, async () => {
      const image = await upstream.makeImage([2 * MIB])
      await Promise.all(nodes.map((node) => node.pull(image)))
      await upstream.pause()
      try {
        const [newcomer] = await lab.addNodes(1)
        assert.ok(newcomer)
        await lab.untilConnected()
        await newcomer.pull(image, { reference: image.manifest })
      } finally {
        await upstream.start()
      }
      return image
    }),
  )

  await t.test('and ask once about a tag while the answer is fresh', () =>
    assertSentOnce(lab, async () => {
      const image = await upstream.makeImage([1000])
      await Promise.all(nodes.map((node) => node.pull(image)))
      for (const node of nodes) await node.pull(image)
      return image
    }),
  )

  await t.test('also when upstream denies one of them', async () => {
    try {
      for (const denied of nodes.slice(0, 3)) {
        await upstream.deny([denied.machine])
        await assertSentOnce(lab, async () => {
          const image = await upstream.makeImage([MIB, 1000])
          await Promise.all(nodes.map((node) => node.pull(image)))
          return image
        })
      }
    } finally {
      await upstream.deny([])
    }
  })
})
