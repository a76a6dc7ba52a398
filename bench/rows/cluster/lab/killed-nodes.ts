import { setTimeout as wait } from 'node:timers/promises'
import type { ClusterNode } from '../../../../testkit/lab/node.ts'
import type { MadeImage } from '../../../../testkit/lab/programs/upstream-program.ts'
import { median } from '../../../stats.ts'
import { about, atBest, type Cluster, mbit, runWith, UNCHECKED } from './measured-pulls.ts'

const KILLED = 0.3

/** In the middle of it three in ten nodes are gone from one moment to the next, those that upstream sends to among them. */
export async function killed(run: Cluster, undisturbed: readonly number[]): Promise<void> {
  const { context, lab, slowLink } = run
  const doomed = new Set<ClusterNode>()
  let unfinished = 0

  const pull = async (image: MadeImage) => {
    const bytes = image.blobs.reduce((sum, blob) => sum + blob.size, 0)
    const pulls = lab.nodes.map(async (node) => ({ node, pulled: await node.tryPull(image, UNCHECKED) }))
    await wait(500 * atBest(bytes, slowLink))
    for (const node of await victims(run, image)) doomed.add(node)
    await Promise.all([...doomed].map((node) => node.kill()))
    const survivors = (await Promise.all(pulls)).filter(({ node }) => !doomed.has(node))
    unfinished = survivors.filter(({ pulled }) => pulled.wrong !== undefined).length
    return survivors.map(({ pulled }) => pulled)
  }
  const outcome = await runWith(run, { link: slowLink, upstream: slowLink }, pull, () =>
    lab.nodes.filter((node) => !doomed.has(node)),
  )
  const { figures, notes } = about([outcome])
  context.report({
    name: `${doomed.size} of ${lab.nodes.length} nodes killed half-way, links ${mbit(slowLink)}`,
    figures: [
      { side: 'until the last of the others has it', unit: 's', values: [outcome.seconds] },
      ...figures,
    ],
    checks: [
      { label: 'others that did not get all of it', unit: '', values: [unfinished], atMost: 0 },
      { label: 'sent by upstream', unit: 'x', values: [outcome.egress], atMost: 1.1 },
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

/** Those to whom upstream sends the largest layers, then others. */
async function victims({ lab }: Cluster, image: MadeImage): Promise<ClusterNode[]> {
  const accounts = await lab.upstream.accounts()
  const largest = [...image.blobs].sort((a, b) => b.size - a.size).map((blob) => blob.digest)
  const fetchers = largest.flatMap((digest) => accounts.clientsOf(digest)).map((address) => lab.at(address))
  return [...new Set([...fetchers, ...lab.nodes])].slice(0, Math.round(lab.nodes.length * KILLED))
}
