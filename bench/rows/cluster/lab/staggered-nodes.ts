import { setTimeout as wait } from 'node:timers/promises'
import {
  limitsOf,
  linkShareOf,
  type MeasuredCluster,
  mbit,
  measurePulls,
  UNCHECKED,
} from './measured-pulls.ts'

const EVERY_MS = 4000

/** One node after the other begins, some before the pulls of earlier nodes have ended. */
export async function staggeredNodes(run: MeasuredCluster): Promise<void> {
  const { context, lab, link } = run
  const outcome = await measurePulls(run, { link, upstream: link }, (image) =>
    Promise.all(
      lab.nodes.map(async (node, at) => {
        await wait(at * EVERY_MS)
        return node.pull(image, UNCHECKED)
      }),
    ),
  )
  const shares = outcome.pulls.map((pulled) => linkShareOf(pulled, link))
  const { figures, notes } = limitsOf([outcome])
  context.report({
    name: `${lab.nodes.length} nodes, one every ${EVERY_MS / 1000} s, links ${mbit(link)}`,
    figures: [{ side: 'part of its link that a node used', unit: 'x', values: shares }, ...figures],
    checks: [
      { label: 'sent by upstream', unit: 'x', values: [outcome.copiesSent], atMost: 1 },
      { label: 'the slowest node', unit: 'x', values: [Math.min(...shares)], atLeast: 0.8 },
    ],
    notes: ['more than 1 where a node had fetched a part for others before its own pull began', ...notes],
  })
}
