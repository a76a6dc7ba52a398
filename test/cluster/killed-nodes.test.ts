import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import type { Lab } from '../../testkit/lab/lab.ts'
import type { ClusterNode } from '../../testkit/lab/node.ts'
import type { Pulled } from '../../testkit/lab/programs/machine-program.ts'
import type { MadeImage } from '../../testkit/lab/programs/upstream-program.ts'
import { startLab } from '../../testkit/lab/start-lab.ts'
import { assertShared } from './sent-once.ts'

const MIB = 1 << 20
const MBIT = 1e6

/** The fetcher of the largest layer, once upstream has sent half of that layer. */
async function fetcherOf(lab: Lab, image: MadeImage): Promise<ClusterNode> {
  const [largest] = [...image.blobs].sort((a, b) => b.size - a.size)
  assert.ok(largest)
  for (;;) {
    const traffic = await lab.upstream.traffic()
    const [address] = traffic.clientsOf(largest.digest)
    if (address !== undefined && traffic.bytesOf(largest.digest) > largest.size / 2)
      return lab.nodeAt(address)
    await delay(20)
  }
}

/**
 * A pull that the node has answered with the whole image, at once or when it is asked again as runtimes do: on a busy machine,
 * a source that is alive may be given up because it has not answered in time.
 */
async function pulledWhole(node: ClusterNode, image: MadeImage, pulled: Pulled | undefined): Promise<void> {
  if (pulled?.error !== undefined) await node.pull(image)
}

test('the other nodes get the whole image when some fail during their pulls', {
  timeout: 900_000,
}, async (t) => {
  const lab = await startLab(t, { nodes: 8, rate: 40 * MBIT, peers: true })
  if (lab === undefined) return
  const { nodes, upstream } = lab
  t.beforeEach(() => lab.restartEnded())

  const pullWhileKilling = async (count: number): Promise<void> => {
    await upstream.resetTraffic()
    const image = await upstream.makeImage([10 * MIB, 6 * MIB])
    const pulls = nodes.map((node) => node.tryPull(image))
    const fetcher = await fetcherOf(lab, image)
    const killed = [fetcher, ...nodes.filter((node) => node !== fetcher)].slice(0, count)
    await Promise.all(killed.map((node) => node.kill()))
    const pulled = await Promise.all(pulls)
    for (const [at, node] of nodes.entries()) {
      if (!killed.includes(node)) await pulledWhole(node, image, pulled[at])
    }
    // The bench measures how little upstream sends twice.
    assertShared(await upstream.trafficOf(image), image, nodes.length)
    await lab.restartEnded()
    for (const node of killed) await node.pull(image)
  }

  await t.test('when the fetcher is killed', () => pullWhileKilling(1))
  await t.test('when three of eight are killed, the fetcher among them', () => pullWhileKilling(3))

  await t.test('when the fetcher hangs', async () => {
    await upstream.resetTraffic()
    const image = await upstream.makeImage([8 * MIB])
    const pulls = nodes.map((node) => node.tryPull(image))
    const hanging = await fetcherOf(lab, image)
    lab.network.cut(hanging.machine)
    for (const [at, node] of nodes.entries()) {
      if (node !== hanging) await pulledWhole(node, image, await pulls[at])
    }
    lab.network.mend(hanging.machine)
    await pulledWhole(hanging, image, await pulls[nodes.indexOf(hanging)])
  })
})
