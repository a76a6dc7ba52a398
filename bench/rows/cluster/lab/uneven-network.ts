import { Lab, type LabOptions } from '../../../../testkit/lab/lab.ts'
import type { Rate } from '../../../../testkit/lab/network.ts'
import type { Pulled } from '../../../../testkit/lab/programs/machine-program.ts'
import type { Context } from '../../../context.ts'
import { withResources } from '../../../resources.ts'
import { limitsOf, type MeasuredCluster, mbit, measurePulls, secondsAt, UNCHECKED } from './measured-pulls.ts'

/** The rate of the slow link over that of the other links. */
const SLOW_LINK = 0.15
const ZONES = ['east', 'west'] as const
const NODES = 8
const MIB = 1 << 20

/** Clusters with a slow link, with a partition, and with zones. */
export async function unevenNetwork(context: Context, entry: string, link: Rate): Promise<void> {
  // The members remember the highest download rate of a node, so its link is slow from the start.
  await inLab(context, entry, link, {}, async (run) => {
    await slowNode(run)
    await partition(run)
  })
  const zoneOf = (number: number): string => ZONES[number % ZONES.length] ?? ZONES[0]
  await inLab(context, entry, link, { zoneOf }, zones)
}

function inLab(
  context: Context,
  entry: string,
  link: Rate,
  more: Pick<LabOptions, 'zoneOf'>,
  measure: (run: MeasuredCluster) => Promise<void>,
): Promise<void> {
  return withResources(async (resources) => {
    const folder = resources.add(context.folder('uneven'))
    const lab = await Lab.open({
      nodes: NODES,
      entry,
      folder: `${folder.path}/lab`,
      rate: link,
      peers: true,
      flags: ['--log-level', 'warn', '--max-bytes', '256MiB'],
      ...more,
    })
    resources.add({ stop: () => lab.close() })
    await measure({ context, lab, link, slowLink: link })
  })
}

/** A partition into two halves, each of which needs a copy of its own. */
async function partition(run: MeasuredCluster): Promise<void> {
  const { context, lab, slowLink } = run
  const machines = lab.nodes.map((node) => node.machine)
  const half = machines.length / 2
  const outcome = await measurePulls(run, { link: slowLink, upstream: 2 * slowLink }, async (image) => {
    lab.network.partition(machines.slice(0, half), machines.slice(half))
    try {
      return await Promise.all(lab.nodes.map((node) => node.pull(image, UNCHECKED)))
    } finally {
      lab.network.heal()
    }
  })
  await lab.untilConnected()
  const { figures, notes } = limitsOf([outcome])
  context.report({
    name: `two halves of ${half} nodes without a connection, links ${mbit(slowLink)}`,
    figures: [
      { side: 'until the last node has the image', unit: 's', values: [outcome.seconds] },
      ...figures,
    ],
    checks: [{ label: 'sent by upstream', unit: 'x', values: [outcome.copiesSent], atMost: 3 }],
    notes,
  })
}

/** One node has a slow link. The others do not wait for it, also where it is the owner or the fetcher. */
async function slowNode(run: MeasuredCluster): Promise<void> {
  const { context, lab, slowLink } = run
  const [slow, ...others] = lab.nodes
  if (slow === undefined) return
  lab.network.setRate(slow.machine, SLOW_LINK * slowLink)
  const first = await lab.upstream.makeImage([2 * MIB])
  await Promise.all(lab.nodes.map((node) => node.pull(first, UNCHECKED)))
  const outcome = await measurePulls(run, { link: slowLink, upstream: slowLink }, async (image) => {
    lab.network.setRate(slow.machine, SLOW_LINK * slowLink)
    const last = slow.pull(image, UNCHECKED)
    let pulls: readonly Pulled[]
    try {
      pulls = await Promise.all(others.map((node) => node.pull(image, UNCHECKED)))
    } finally {
      lab.network.setRate(slow.machine, slowLink)
      await last
    }
    return pulls
  })
  const slowSeconds = secondsAt(outcome.bytes, SLOW_LINK * slowLink)
  const { figures, notes } = limitsOf([outcome])
  context.report({
    name: `a node with a link of ${SLOW_LINK} times ${mbit(slowLink)} among ${others.length}`,
    figures: [
      { side: 'until the last of the others has the image', unit: 's', values: [outcome.seconds] },
      ...figures,
    ],
    checks: [
      {
        label: 'time / size over the slow link',
        unit: 'x',
        values: [outcome.seconds / slowSeconds],
        atMost: 0.5,
      },
      { label: 'sent by upstream', unit: 'x', values: [outcome.copiesSent], atMost: 1.25 },
    ],
    notes,
  })
}

/** Two zones, each connected to the other switches by one link, over which one copy comes. */
async function zones(run: MeasuredCluster): Promise<void> {
  const { context, lab, link } = run
  const received = (): number[] => ZONES.map((zone) => lab.network.trafficOf(zone).received)
  let crossed: number[] = []
  const outcome = await measurePulls(run, { link, upstream: link }, async (image) => {
    const before = received()
    const pulls = await Promise.all(lab.nodes.map((node) => node.pull(image, UNCHECKED)))
    crossed = received().map((after, at) => after - (before[at] ?? 0))
    return pulls
  })
  const { figures, notes } = limitsOf([outcome])
  const copies = crossed.map((bytes) => bytes / outcome.bytes)
  context.report({
    name: `${lab.nodes.length} nodes in ${ZONES.length} zones, links ${mbit(link)}`,
    figures,
    checks: [
      { label: 'copies over the link of a zone', unit: 'x', values: copies, atMost: 1.3 },
      { label: 'sent by upstream', unit: 'x', values: [outcome.copiesSent], atMost: 1 },
    ],
    notes,
  })
}
