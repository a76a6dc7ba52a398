import type { Rate } from '../../../../testkit/lab/network.ts'
import { simulatePull } from '../../../../testkit/simulation/pull/simulate-pull.ts'
import {
  LAYERS,
  limitsOf,
  type MeasuredCluster,
  mbit,
  measurePulls,
  type Outcome,
  secondsAt,
  UNCHECKED,
} from './measured-pulls.ts'

/** The bytes on the link for each byte of a plain download. */
const FRAME_OVERHEAD = 1.05

/** All nodes pull the same new image at once. Returns the seconds of each run until the last node had it. */
export async function nodesAtOnce(
  run: MeasuredCluster,
  { link, upstream, atMost }: { readonly link: Rate; readonly upstream: Rate; readonly atMost: number },
): Promise<readonly number[]> {
  const { context, lab } = run
  const outcomes: Outcome[] = []
  const repetitions = context.quick ? 1 : 3
  while (outcomes.length < repetitions) {
    const pull = measurePulls(run, { link, upstream }, (image) =>
      Promise.all(lab.nodes.map((node) => node.pull(image, UNCHECKED))),
    )
    outcomes.push(await pull)
  }
  const seconds = outcomes.map((outcome) => outcome.seconds)
  const ratios = outcomes.map((outcome) => outcome.seconds / secondsAt(outcome.bytes, upstream))
  const simulated = simulatePull({
    members: lab.nodes.length,
    linkBytesPerSecond: link / 8 / FRAME_OVERHEAD,
    upstreamBytesPerSecond: upstream / 8 / FRAME_OVERHEAD,
    layers: LAYERS,
    seed: 1,
  })
  const { figures, notes } = limitsOf(outcomes)
  const peak = Math.max(...lab.nodes.map((node) => node.usage().peak))
  context.report({
    name: `${lab.nodes.length} nodes at once, links ${mbit(link)}, upstream ${mbit(upstream)}`,
    figures: [
      { side: 'until the last node has the image', unit: 's', values: seconds },
      ...figures,
      {
        side: 'an agent',
        unit: 'CPU s/GB',
        values: outcomes.map((outcome) => outcome.cpuSecondsPerGB),
      },
      { side: 'most memory of an agent', unit: 'MiB', values: [peak / 2 ** 20] },
    ],
    checks: [
      {
        label: 'sent by upstream',
        unit: 'x',
        values: outcomes.map((outcome) => outcome.copiesSent),
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
      `the rate is that of frames: a plain download takes ${FRAME_OVERHEAD} times its size, also in the simulation`,
      ...notes,
    ],
  })
  return seconds
}
