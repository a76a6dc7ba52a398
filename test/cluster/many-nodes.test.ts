import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import type { Lab } from '../../testkit/lab/lab.ts'
import type { MadeImage } from '../../testkit/lab/programs/upstream-program.ts'
import { startLab } from '../../testkit/lab/start-lab.ts'
import { assertSentOnce } from './sent-once.ts'

const MIB = 1 << 20
const MBIT = 1e6

/** Resolves when upstream has sent that part of the image. */
async function sentBy({ upstream }: Lab, image: MadeImage, part: number): Promise<void> {
  while ((await upstream.accounts()).egress(image) < part) await delay(20)
}

test('eight nodes take from upstream what one would', { timeout: 900_000 }, async (t) => {
  const lab = await startLab(t, { nodes: 8, rate: 40 * MBIT, peers: true, tagTtl: '1h' })
  if (lab === undefined) return
  const { nodes, upstream } = lab

  await t.test('all at once', () =>
    assertSentOnce(lab, async () => {
      const image = await upstream.image([3 * MIB, 2 * MIB, MIB + 17, 1000])
      await Promise.all(nodes.map((node) => node.pull(image)))
      return image
    }),
  )

  await t.test('one after the other', () =>
    assertSentOnce(lab, async () => {
      const image = await upstream.image([MIB, MIB])
      for (const node of nodes) await node.pull(image)
      return image
    }),
  )

  await t.test('some when others are half-way', () =>
    assertSentOnce(lab, async () => {
      const image = await upstream.image([4 * MIB])
      const early = Promise.all(nodes.slice(0, 4).map((node) => node.pull(image)))
      await sentBy(lab, image, 0.5)
      await Promise.all(nodes.slice(4).map((node) => node.pull(image)))
      await early
      return image
    }),
  )

  await t.test('a node that comes new and finds everything with others', () =>
    assertSentOnce(lab, async () => {
      const image = await upstream.image([2 * MIB])
      await Promise.all(nodes.map((node) => node.pull(image)))
      await upstream.pause()
      try {
        const [late] = await lab.grow(1)
        assert.ok(late)
        await lab.met()
        await late.pull(image, { reference: image.manifest })
      } finally {
        await upstream.start()
      }
      return image
    }),
  )

  await t.test('about a tag it is asked once while what it said is fresh', () =>
    assertSentOnce(lab, async () => {
      const image = await upstream.image([1000])
      await Promise.all(nodes.map((node) => node.pull(image)))
      for (const node of nodes) await node.pull(image)
      return image
    }),
  )

  await t.test('also when one of them is refused there', async () => {
    try {
      for (const outcast of nodes.slice(0, 3)) {
        await upstream.deny([outcast.place])
        await assertSentOnce(lab, async () => {
          const image = await upstream.image([MIB, 1000])
          await Promise.all(nodes.map((node) => node.pull(image)))
          return image
        })
      }
    } finally {
      await upstream.deny([])
    }
  })
})
