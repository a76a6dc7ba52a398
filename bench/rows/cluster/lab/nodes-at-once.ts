import type { Rate } from '../../../../testkit/lab/network.ts'
import { simulatePull } from '../../../../testkit/simulation/simulate-pull.ts'
import {
  about,
  atBest,
  type Cluster,
  LAYERS,
  mbit,
  type Outcome,
  runWith,
  UNCHECKED,
} from './measured-pulls.ts'

/** What one plain download takes of a link, over the bytes that it brings. */
const FRAMES = 1.05

/** All nodes want the same new image in the same moment. Seconds of each run until the last node had it. */
export async function together(
  run: Cluster,
  { link, upstream, atMost }: { readonly link: Rate; readonly upstream: Rate; readonly atMost: number },
): Promise<readonly number[]> {
  const { context, lab } = run
  const outcomes: Outcome[] = []
  const repetitions = context.quick ? 1 : 3
  while (outcomes.length < repetitions) {
    const pull = runWith(run, { link, upstream }, (image) =>
      Promise.all(lab.nodes.map((node) => node.pull(image, UNCHECKED))),
    )
    outcomes.push(await pull)
  }
  const seconds = outcomes.map((outcome) => outcome.seconds)
  const ratios = outcomes.map((outcome) => outcome.seconds / atBest(outcome.bytes, upstream))
  const simulated = simulatePull({
    members: lab.nodes.length,
    linkBytesPerSecond: link / 8 / FRAMES,
    upstreamBytesPerSecond: upstream / 8 / FRAMES,
    layers: LAYERS,
    seed: 1,
  })
  const { figures, notes } = about(outcomes)
  const peak = Math.max(...lab.nodes.map((node) => node.usage().peak))
  context.report({
    name: `${lab.nodes.length} nodes at once, links ${mbit(link)}, upstream ${mbit(upstream)}`,
    figures: [
      { side: 'until the last node has it', unit: 's', values: seconds },
      ...figures,
      { side: 'most memory of an agent', unit: 'MiB', values: [peak / 2 ** 20] },
    ],
    checks: [
      {
        label: 'sent by upstream',
        unit: 'x',
        values: outcomes.map((outcome) => outcome.egress),
        atMost: 1,
      },
      { label: 'time / size over rate of upstream', unit: 'x', values: ratios, atMost },
      {
        label: 'time / simulated time',
        unit: 'x',
        values: seconds.map((one) => (one * 1000) / simulated.lastMs),
        atLeast: 0.85,
        atMost: 1.15,
      },
    ],
    notes: [
      `the rate is that of frames: ${FRAMES} is what one plain download takes, simulated too`,
      ...notes,
    ],
  })
  return seconds
}
