import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Lab } from '../../testkit/lab/lab.ts'
import type { LabBucket } from '../../testkit/lab/lab-bucket.ts'
import type { MadeImage } from '../../testkit/lab/programs/upstream-program.ts'
import { startLab } from '../../testkit/lab/start-lab.ts'

const MIB = 1 << 20
const LAYERS = [5 * MIB, 2 * MIB, 1000]
/** When the processors stall for seconds, a live node is taken for dead and another one reads the bucket as well. */
const ATTEMPTS = 4

/** Gives new images that only the bucket has once upstream is off. */
async function fill(lab: Lab, bucket: LabBucket, count: number): Promise<readonly MadeImage[]> {
  const [first = assert.fail()] = lab.nodes
  const images: MadeImage[] = []
  for (let made = 0; made < count; made += 1) {
    const image = await lab.upstream.makeImage(LAYERS)
    await first.pull(image)
    await bucket.untilFilled(image)
    images.push(image)
  }
  await first.restartEmpty()
  await lab.untilConnected()
  return images
}

test('eight nodes with empty disks and a bucket', { timeout: 900_000 }, async (t) => {
  const lab = await startLab(t, { nodes: 8, peers: true, tagTtl: '1h', hasBucket: true })
  const bucket = lab?.bucket
  if (lab === undefined || bucket === undefined) return
  const { nodes, upstream } = lab
  const images = await fill(lab, bucket, ATTEMPTS + 1)
  const [stalled = assert.fail(), ...whole] = images

  await t.test('get an image while upstream is off, of which the bucket sends one copy', async () => {
    await upstream.pause()
    try {
      let difference: string | undefined
      for (const image of whole) {
        await bucket.reset()
        await Promise.all(nodes.map((node) => node.pull(image)))
        const sent = await bucket.bytesOf(image)
        const [all, one] = [sum([...sent.values()]), sum(image.blobs.map(({ size }) => size))]
        assert.ok(all >= one && all < nodes.length * one, `the bucket sent ${all} bytes of ${one}`)
        difference = image.blobs
          .filter(({ digest, size }) => sent.get(digest) !== size)
          .map(({ digest, size }) => `${sent.get(digest)} bytes of the ${size} of ${digest}`)
          .at(0)
        if (difference === undefined) return
      }
      assert.fail(`no attempt of ${ATTEMPTS} was sent once; in the last, the bucket sent ${difference}`)
    } finally {
      await upstream.start()
    }
  })

  await t.test('get an image from upstream when the bucket stalls', async () => {
    await bucket.failReads({ kind: 'stall', after: 1000 })
    await upstream.resetTraffic()
    await Promise.all(nodes.map((node) => node.pull(stalled)))
    const traffic = await upstream.trafficOf(stalled)
    const copies = traffic.copiesSent(stalled)
    // What the bucket has sent before it stalled does not come again.
    assert.ok(copies > 0.9 && copies < nodes.length, `upstream sent it ${copies} times`)
  })
})

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
