import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as v from 'valibot'
import { WarmLine } from '../../src/observe/warm-report.ts'
import { MAIN } from '../commands/cli.ts'
import { run } from '../support/programs.ts'
import type { ClusterNode } from './node.ts'
import { REGISTRY } from './node.ts'
import { startLab } from './setting.ts'

const MIB = 1 << 20

/** The command, run on that node, and what it has told. */
async function warmEverywhere({ place }: ClusterNode, reference: string): Promise<WarmLine[]> {
  const args = ['netns', 'exec', place.namespace, process.execPath, MAIN]
  const { stdout } = await run('ip', [...args, 'warm', '--all-nodes', reference, '--json'])
  return stdout
    .trimEnd()
    .split('\n')
    .map((line) => v.parse(WarmLine, JSON.parse(line)))
}

test('one command warms three nodes with one copy from upstream, and each then has it by itself', async (t) => {
  const lab = await startLab(t, { nodes: 3, rate: 100e6, peers: true })
  if (lab === undefined) return
  const { nodes, upstream } = lab
  const image = await upstream.image([5 * MIB, 2 * MIB + 17, 1000])
  const [, node] = nodes
  assert.ok(node)

  const lines = await warmEverywhere(node, `${REGISTRY}/${image.repository}:${image.tag}`)
  const done = lines.at(-1)
  assert.ok(done?.is === 'done', JSON.stringify(done))
  assert.deepEqual([done.nodes, done.failedNodes, done.failed], [3, 0, 0])

  const accounts = await upstream.accounts()
  for (const { digest, size } of image.blobs) assert.equal(accounts.bytesOf(digest), size, digest)
  const manifest = accounts.bytesOf(image.manifest) + accounts.bytesOf(image.tag)
  assert.equal(accounts.sent(image.manifest) + accounts.sent(image.tag), 1, 'how often it sent the manifest')
  const wanted = image.blobs.reduce((sum, { size }) => sum + size, manifest)
  t.diagnostic(`upstream has sent ${accounts.bytes} bytes of ${wanted}`)
  assert.equal(accounts.bytes, wanted, 'and nothing else')
  // What a node fetches for others before its own turn comes is there already when it does.
  assert.ok(done.fetched.upstream <= wanted && done.hereBytes < MIB, JSON.stringify(done))
  assert.equal(done.fetched.upstream + done.fetched.peer + done.hereBytes, 3 * wanted)

  await upstream.pause()
  await upstream.forget()
  for (const one of nodes) {
    // Nobody else is there to have it from.
    await Promise.all(nodes.map((other) => other.kill()))
    await one.start()
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
