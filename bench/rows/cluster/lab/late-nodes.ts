import { setTimeout as wait } from 'node:timers/promises'
import {
  limitsOf,
  linkShareOf,
  type MeasuredCluster,
  mbit,
  measurePulls,
  secondsAt,
  UNCHECKED,
} from './measured-pulls.ts'

const EARLY = 4
const LATE = 4

/** Some nodes begin their pulls when others have pulled half of the image. */
export async function lateNodes(run: MeasuredCluster): Promise<void> {
  const { context, lab } = run
  const link = run.link / 2
  const early = lab.nodes.slice(0, EARLY)
  const others = lab.nodes.slice(EARLY, EARLY + LATE)
  const outcome = await measurePulls(
    run,
    { link, upstream: link },
    async (image) => {
      const bytes = image.blobs.reduce((sum, blob) => sum + blob.size, 0)
      const first = Promise.all(early.map((node) => node.pull(image, UNCHECKED)))
      const joined = wait(500 * secondsAt(bytes, link)).then(() =>
        Promise.all(others.map((node) => node.pull(image, UNCHECKED))),
      )
      return (await Promise.all([first, joined])).flat()
    },
    () => [...early, ...others],
  )
  const shares = outcome.pulls.slice(EARLY).map((pulled) => linkShareOf(pulled, link))
  const { figures, notes } = limitsOf([outcome])
  context.report({
    name: `${LATE} nodes begin when ${EARLY} others have half of the image, links ${mbit(link)}`,
    figures: [{ side: 'part of its link that a late node used', unit: 'x', values: shares }, ...figures],
    checks: [
      { label: 'sent by upstream', unit: 'x', values: [outcome.copiesSent], atMost: 1 },
      { label: 'the slowest of the late ones', unit: 'x', values: [Math.min(...shares)], atLeast: 0.8 },
    ],
    notes,
  })
}
