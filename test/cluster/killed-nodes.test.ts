import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import type { Lab } from '../../testkit/lab/lab.ts'
import type { ClusterNode } from '../../testkit/lab/node.ts'
import type { MadeImage } from '../../testkit/lab/programs/upstream-program.ts'
import { startLab } from '../../testkit/lab/start-lab.ts'
import { assertShared } from './sent-once.ts'

const MIB = 1 << 20
const MBIT = 1e6

/** The one to whom upstream sends the largest layer, once half of that is sent. */
async function fetcherOf(lab: Lab, image: MadeImage): Promise<ClusterNode> {
  const [largest] = [...image.blobs].sort((a, b) => b.size - a.size)
  assert.ok(largest)
  for (;;) {
    const accounts = await lab.upstream.accounts()
    const [address] = accounts.clientsOf(largest.digest)
    if (address !== undefined && accounts.bytesOf(largest.digest) > largest.size / 2) return lab.at(address)
    await delay(20)
  }
}

test('those who are left get everything when others die', { timeout: 900_000 }, async (t) => {
  const lab = await startLab(t, { nodes: 8, rate: 40 * MBIT, peers: true })
  if (lab === undefined) return
  const { nodes, upstream } = lab
  t.beforeEach(() => lab.revive())

  const pullWhileDying = async (deaths: number): Promise<void> => {
    await upstream.forget()
    const image = await upstream.image([10 * MIB, 6 * MIB])
    const pulls = nodes.map((node) => node.tryPull(image))
    const fetcher = await fetcherOf(lab, image)
    const doomed = [fetcher, ...nodes.filter((node) => node !== fetcher)].slice(0, deaths)
    await Promise.all(doomed.map((node) => node.kill()))
    const pulled = await Promise.all(pulls)
    for (const [at, node] of nodes.entries()) {
      if (!doomed.includes(node)) assert.equal(pulled[at]?.wrong, undefined, node.output.slice(-2000))
    }
    // How little it is that upstream sends twice is for the bench to say.
    assertShared(await upstream.accountsOf(image), image, nodes.length)
    await lab.revive()
    for (const node of doomed) await node.pull(image)
  }

  await t.test('the one that fetches for all of them', () => pullWhileDying(1))
  await t.test('three of eight, that one among them', () => pullWhileDying(3))

  await t.test('one that hangs instead of dying', async () => {
    await upstream.forget()
    const image = await upstream.image([8 * MIB])
    const pulls = nodes.map((node) => node.tryPull(image))
    const hanging = await fetcherOf(lab, image)
    lab.network.cut(hanging.place)
    const others = await Promise.all(pulls.filter((_, at) => nodes[at] !== hanging))
    lab.network.mend(hanging.place)
    const pulled = [...others, ...(await Promise.all(pulls))]
    assert.deepEqual(
      pulled.map((one) => one.wrong),
      pulled.map(() => undefined),
    )
  })
})
