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
const MANIFEST_AT_MOST = 65_536

/** The command, run on that node, and what it has told. */
async function warmEverywhere({ place }: ClusterNode, reference: string): Promise<WarmLine[]> {
  const args = ['netns', 'exec', place.namespace, process.execPath, MAIN]
  const { stdout } = await run('ip', [...args, 'warm', '--all-nodes', reference, '--json'], {
    deadlineMs: 300_000,
  })
  return stdout
    .trimEnd()
    .split('\n')
    .map((line) => v.parse(WarmLine, JSON.parse(line)))
}

test('one command warms three nodes with one copy from upstream, and each then has it by itself', {
  timeout: 900_000,
}, async (t) => {
  const lab = await startLab(t, { nodes: 3, rate: 100e6, peers: true, tagTtl: '1h' })
  if (lab === undefined) return
  const { nodes, upstream, network } = lab
  const [, node] = nodes
  assert.ok(node)

  const warm = async (): Promise<MadeImage> => {
    const image = await upstream.image([5 * MIB, 2 * MIB + 17, 1000])
    const lines = await warmEverywhere(node, `${REGISTRY}/${image.repository}:${image.tag}`)
    const done = lines.at(-1)
    assert.ok(done?.is === 'done', JSON.stringify(done))
    assert.deepEqual([done.nodes, done.failedNodes, done.failed], [3, 0, 0])
    const accounts = await upstream.accountsOf(image)
    const wanted = image.blobs.reduce((sum, { size }) => sum + size, 0)
    t.diagnostic(`upstream has sent ${accounts.bytes} bytes for ${wanted} of blobs`)
    // What a node has fetched for others before its own turn came is there already when it does.
    const { upstream: brought, peer } = done.fetched
    const fetched = brought + peer + done.hereBytes
    const manifests = fetched - 3 * wanted
    assert.ok(manifests > 0 && manifests < 3 * MANIFEST_AT_MOST, JSON.stringify(done))
    return image
  }
  let image: MadeImage | undefined
  await assertSentOnce(lab, async () => {
    image = await warm()
    return image
  })
  assert.ok(image)

  await upstream.pause()
  await upstream.forget()
  await Promise.all(nodes.map((one) => one.kill()))
  await Promise.all(nodes.map((one) => one.start()))
  // Nobody else is there to have it from.
  for (const { place } of nodes) network.cut(place)
  for (const one of nodes) {
    for (const reference of [image.tag, image.manifest]) {
      const { parts } = await one.pull(image, { reference })
      assert.deepEqual(
        parts.map(({ from }) => from),
        parts.map(() => 'leat; hit'),
        one.place.label,
      )
    }
  }
})
