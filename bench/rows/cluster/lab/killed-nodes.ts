import { setTimeout as wait } from 'node:timers/promises'
import type { ClusterNode } from '../../../../testkit/lab/node.ts'
import type { MadeImage } from '../../../../testkit/lab/programs/upstream-program.ts'
import { median } from '../../../stats.ts'
import { limitsOf, type MeasuredCluster, mbit, measurePulls, secondsAt, UNCHECKED } from './measured-pulls.ts'

const KILLED_PART = 0.3

/** Three in ten nodes are killed in the middle of their pulls, among them those that fetch from upstream. */
export async function killedNodes(run: MeasuredCluster, undisturbed: readonly number[]): Promise<void> {
  const { context, lab, slowLink } = run
  const killed = new Set<ClusterNode>()
  let unfinished = 0

  const pull = async (image: MadeImage) => {
    const bytes = image.blobs.reduce((sum, blob) => sum + blob.size, 0)
    const pulls = lab.nodes.map(async (node) => ({ node, pulled: await node.tryPull(image, UNCHECKED) }))
    await wait(500 * secondsAt(bytes, slowLink))
    for (const node of await nodesToKill(run, image)) killed.add(node)
    await Promise.all([...killed].map((node) => node.kill()))
    const survivors = (await Promise.all(pulls)).filter(({ node }) => !killed.has(node))
    unfinished = survivors.filter(({ pulled }) => pulled.error !== undefined).length
    return survivors.map(({ pulled }) => pulled)
  }
  const outcome = await measurePulls(run, { link: slowLink, upstream: slowLink }, pull, () =>
    lab.nodes.filter((node) => !killed.has(node)),
  )
  const { figures, notes } = limitsOf([outcome])
  context.report({
    name: `${killed.size} of ${lab.nodes.length} nodes killed half-way, links ${mbit(slowLink)}`,
    figures: [
      { side: 'until the last of the others has the image', unit: 's', values: [outcome.seconds] },
      ...figures,
    ],
    checks: [
      { label: 'other nodes without the whole image', unit: '', values: [unfinished], atMost: 0 },
      { label: 'sent by upstream', unit: 'x', values: [outcome.copiesSent], atMost: 1.1 },
      {
        label: 'time / undisturbed',
        unit: 'x',
        values: [outcome.seconds / median(undisturbed)],
        atMost: 1.5,
      },
    ],
    notes,
  })
}

/** The fetchers of the largest layers, then other nodes. */
async function nodesToKill({ lab }: MeasuredCluster, image: MadeImage): Promise<ClusterNode[]> {
  const traffic = await lab.upstream.traffic()
  const largest = [...image.blobs].sort((a, b) => b.size - a.size).map((blob) => blob.digest)
  const fetchers = largest
    .flatMap((digest) => traffic.clientsOf(digest))
    .map((address) => lab.nodeAt(address))
  return [...new Set([...fetchers, ...lab.nodes])].slice(0, Math.round(lab.nodes.length * KILLED_PART))
}
