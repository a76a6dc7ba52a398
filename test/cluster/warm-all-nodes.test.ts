import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as v from 'valibot'
import { WarmLine } from '../../src/schemas/warm-report.ts'
import type { ClusterNode } from '../../testkit/lab/node.ts'
import { REGISTRY } from '../../testkit/lab/node.ts'
import type { MadeImage } from '../../testkit/lab/programs/upstream-program.ts'
import { startLab } from '../../testkit/lab/start-lab.ts'
import { run } from '../../testkit/programs.ts'
import { MAIN } from '../cli/agent-process.ts'
import { assertSentOnce } from './sent-once.ts'

const MIB = 1 << 20
const MAX_MANIFEST_BYTES = 65_536

/** Runs the command on the node and returns its output. */
async function warmEverywhere({ machine }: ClusterNode, reference: string): Promise<WarmLine[]> {
  const args = ['netns', 'exec', machine.namespace, process.execPath, MAIN]
  const { stdout } = await run('ip', [...args, 'warm', '--all-nodes', reference, '--json'], {
    deadlineMs: 300_000,
  })
  return stdout
    .trimEnd()
    .split('\n')
    .map((line) => v.parse(WarmLine, JSON.parse(line)))
}

test('warm --all-nodes warms three nodes with one copy from upstream, and each then serves the image from its store', {
  timeout: 900_000,
}, async (t) => {
  const lab = await startLab(t, { nodes: 3, rate: 100e6, peers: true, tagTtl: '1h' })
  if (lab === undefined) return
  const { nodes, upstream, network } = lab
  const [, node] = nodes
  assert.ok(node)

  const warm = async (): Promise<MadeImage> => {
    const image = await upstream.makeImage([5 * MIB, 2 * MIB + 17, 1000])
    const lines = await warmEverywhere(node, `${REGISTRY}/${image.repository}:${image.tag}`)
    const done = lines.at(-1)
    assert.ok(done?.is === 'done', JSON.stringify(done))
    assert.deepEqual([done.nodes, done.failedNodes, done.failed], [3, 0, 0])
    const traffic = await upstream.trafficOf(image)
    const wanted = image.blobs.reduce((sum, { size }) => sum + size, 0)
    t.diagnostic(`upstream has sent ${traffic.bytes} bytes for ${wanted} of blobs`)
    // A node may have fetched a part for others before it began to warm, and then reports that part as stored already.
    const { upstream: fromUpstream, peer } = done.fetched
    const fetched = fromUpstream + peer + done.hereBytes
    const manifests = fetched - 3 * wanted
    assert.ok(manifests > 0 && manifests < 3 * MAX_MANIFEST_BYTES, JSON.stringify(done))
    return image
  }
  let image: MadeImage | undefined
  await assertSentOnce(lab, async () => {
    image = await warm()
    return image
  })
  assert.ok(image)

  await upstream.pause()
  await upstream.resetTraffic()
  await Promise.all(nodes.map((one) => one.kill()))
  await Promise.all(nodes.map((one) => one.start()))
  // Without the network a node can only serve from its store.
  for (const { machine } of nodes) network.cut(machine)
  for (const one of nodes) {
    for (const reference of [image.tag, image.manifest]) {
      const { parts } = await one.pull(image, { reference })
      assert.deepEqual(
        parts.map(({ from }) => from),
        parts.map(() => 'leat; hit'),
        one.machine.label,
      )
    }
  }
})
