import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import type { Lab } from './lab.ts'
import { startLab } from './setting.ts'
import type { MadeImage } from './upstream-program.ts'

const MIB = 1 << 20
const MBIT = 1e6

/** Upstream has sent the manifest and each blob of it exactly once, and not a byte more. */
async function assertSentOnce({ upstream }: Lab, image: MadeImage): Promise<void> {
  const accounts = await upstream.accounts()
  for (const { digest, size } of image.blobs) {
    assert.equal(accounts.sent(digest), 1, `how often upstream sent ${digest} of ${size} bytes`)
    assert.equal(accounts.bytesOf(digest), size)
  }
  assert.equal(accounts.sent(image.manifest) + accounts.sent(image.tag), 1, 'how often it sent the manifest')
}

/** Resolves when upstream has sent that part of the image. */
async function sentBy({ upstream }: Lab, image: MadeImage, part: number): Promise<void> {
  while ((await upstream.accounts()).egress(image) < part) await delay(20)
}

test('eight nodes take from upstream what one would', async (t) => {
  const lab = await startLab(t, { nodes: 8, rate: 40 * MBIT, peers: true })
  if (lab === undefined) return
  const { nodes, upstream } = lab
  t.beforeEach(() => upstream.forget())

  await t.test('all at once', async () => {
    const image = await upstream.image([3 * MIB, 2 * MIB, MIB + 17, 1000])
    await Promise.all(nodes.map((node) => node.pull(image)))
    await assertSentOnce(lab, image)
  })

  await t.test('one after the other', async () => {
    const image = await upstream.image([2 * MIB, MIB])
    for (const node of nodes) await node.pull(image)
    await assertSentOnce(lab, image)
  })

  await t.test('some when others are half-way', async () => {
    const image = await upstream.image([4 * MIB])
    const early = Promise.all(nodes.slice(0, 4).map((node) => node.pull(image)))
    await sentBy(lab, image, 0.5)
    await Promise.all(nodes.slice(4).map((node) => node.pull(image)))
    await early
    await assertSentOnce(lab, image)
  })

  await t.test('a node that comes new and finds everything with others', async () => {
    const image = await upstream.image([2 * MIB])
    await Promise.all(nodes.map((node) => node.pull(image)))
    await upstream.pause()
    const [late] = await lab.grow(1)
    assert.ok(late)
    await lab.met()
    await late.pull(image, { reference: image.manifest })
    await upstream.start()
    await assertSentOnce(lab, image)
  })

  await t.test('about a tag it is asked once while what it said is fresh', async () => {
    const image = await upstream.image([1000])
    await Promise.all(nodes.map((node) => node.pull(image)))
    for (const node of nodes) await node.pull(image)
    const accounts = await upstream.accounts()
    assert.equal(accounts.heads(image.tag) + accounts.sent(image.tag), 1)
  })

  await t.test('also when one of them is refused there', async () => {
    for (const outcast of nodes.slice(0, 3)) {
      await upstream.forget()
      await upstream.deny([outcast.place])
      const image = await upstream.image([2 * MIB, MIB])
      await Promise.all(nodes.map((node) => node.pull(image)))
      await assertSentOnce(lab, image)
    }
    await upstream.deny([])
  })
})
