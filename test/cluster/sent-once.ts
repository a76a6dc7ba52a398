import assert from 'node:assert/strict'
import type { Lab } from '../../testkit/lab/lab.ts'
import type { MadeImage } from '../../testkit/lab/programs/upstream-program.ts'
import type { UpstreamTraffic } from '../../testkit/lab/upstream.ts'

/** When the processors stall for seconds, a live node is taken for dead and another one fetches from upstream as well. */
const ATTEMPTS = 4

/**
 * Asserts that in one of a few attempts upstream sends the manifest and each blob of the image that `attempt` pulls exactly
 * once, and nothing else. In every attempt it sends the whole image, and less than one copy for each node.
 */
export async function assertSentOnce(lab: Lab, attempt: () => Promise<MadeImage>): Promise<void> {
  let difference: string | undefined
  for (let left = ATTEMPTS; left > 0; left -= 1) {
    await lab.upstream.resetTraffic()
    const image = await attempt()
    const traffic = await lab.upstream.trafficOf(image)
    assertShared(traffic, image, lab.nodes.length)
    difference = findMoreThanOnce(traffic, image)
    if (difference === undefined) return
  }
  assert.fail(`no attempt of ${ATTEMPTS} was sent once; in the last, ${difference}`)
}

/** Asserts that upstream has sent the whole image, and less than one copy for each node. */
export function assertShared(traffic: UpstreamTraffic, image: MadeImage, nodes: number): void {
  const copiesSent = traffic.copiesSent(image)
  assert.ok(copiesSent >= 1 && copiesSent < nodes, `upstream sent it ${copiesSent} times, to ${nodes} nodes`)
}

function findMoreThanOnce(traffic: UpstreamTraffic, image: MadeImage): string | undefined {
  for (const { digest, size } of image.blobs) {
    const [times, bytes] = [traffic.sent(digest), traffic.bytesOf(digest)]
    if (times !== 1 || bytes !== size) return `upstream sent ${bytes} bytes of ${size}, in ${times} answers`
  }
  const manifests = traffic.sent(image.manifest) + traffic.sent(image.tag)
  if (manifests !== 1) return `upstream sent the manifest ${manifests} times`
  const known = [image.manifest, image.tag, ...image.blobs.map(({ digest }) => digest)]
  const bytes = known.reduce((sum, reference) => sum + traffic.bytesOf(reference), 0)
  return bytes === traffic.bytes
    ? undefined
    : `upstream sent ${traffic.bytes - bytes} bytes of something else`
}
