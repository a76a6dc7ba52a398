import { Lab, type LabOptions } from '../../../../testkit/lab/lab.ts'
import type { Rate } from '../../../../testkit/lab/network.ts'
import type { Pulled } from '../../../../testkit/lab/programs/machine-program.ts'
import type { Context } from '../../../context.ts'
import { owning } from '../../../owned.ts'
import { about, atBest, type Cluster, mbit, runWith, UNCHECKED } from './measured-pulls.ts'

/** Of the speed that the others' links have. */
const SLOW = 0.15
const ZONES = ['east', 'west'] as const
const NODES = 8
const MIB = 1 << 20

/** Clusters that are not whole, or not the same everywhere. */
export async function apart(context: Context, entry: string, link: Rate): Promise<void> {
  // What a node has received at best is remembered, so the slow one is slow from the start.
  await inLab(context, entry, link, {}, async (run) => {
    await slow(run)
    await halves(run)
  })
  const zoneOf = (number: number): string => ZONES[number % ZONES.length] ?? ZONES[0]
  await inLab(context, entry, link, { zoneOf }, zones)
}

function inLab(
  context: Context,
  entry: string,
  link: Rate,
  more: Pick<LabOptions, 'zoneOf'>,
  measure: (run: Cluster) => Promise<void>,
): Promise<void> {
  return owning(async (owned) => {
    const folder = owned.add(context.folder('apart'))
    const lab = await Lab.open({
      nodes: NODES,
      entry,
      folder: `${folder.path}/lab`,
      rate: link,
      peers: true,
      flags: ['--log-level', 'warn', '--max-bytes', '256MiB'],
      ...more,
    })
    owned.add({ stop: () => lab.close() })
    await measure({ context, lab, link, slowLink: link })
  })
}

/** Two halves that do not reach each other: one copy for each is what it takes. */
async function halves(run: Cluster): Promise<void> {
  const { context, lab, slowLink } = run
  const places = lab.nodes.map((node) => node.place)
  const half = places.length / 2
  const outcome = await runWith(run, { link: slowLink, upstream: 2 * slowLink }, async (image) => {
    lab.network.partition(places.slice(0, half), places.slice(half))
    try {
      return await Promise.all(lab.nodes.map((node) => node.pull(image, UNCHECKED)))
    } finally {
      lab.network.heal()
    }
  })
  await lab.met()
  const { figures, notes } = about([outcome])
  context.report({
    name: `two halves of ${half} nodes that do not reach each other, links ${mbit(slowLink)}`,
    figures: [{ side: 'until the last node has it', unit: 's', values: [outcome.seconds] }, ...figures],
    checks: [{ label: 'sent by upstream', unit: 'x', values: [outcome.egress], atMost: 3 }],
    notes,
  })
}

/** One has a slow link. The others do not wait for it, whoever says who takes what from whom. */
async function slow(run: Cluster): Promise<void> {
  const { context, lab, slowLink } = run
  const [one, ...others] = lab.nodes
  if (one === undefined) return
  lab.network.setRate(one.place, SLOW * slowLink)
  const first = await lab.upstream.image([2 * MIB])
  await Promise.all(lab.nodes.map((node) => node.pull(first, UNCHECKED)))
  const outcome = await runWith(run, { link: slowLink, upstream: slowLink }, async (image) => {
    lab.network.setRate(one.place, SLOW * slowLink)
    const last = one.pull(image, UNCHECKED)
    let pulls: readonly Pulled[]
    try {
      pulls = await Promise.all(others.map((node) => node.pull(image, UNCHECKED)))
    } finally {
      lab.network.setRate(one.place, slowLink)
      await last
    }
    return pulls
  })
  const atSlow = atBest(outcome.bytes, SLOW * slowLink)
  const { figures, notes } = about([outcome])
  context.report({
    name: `a node with a link of ${SLOW} times ${mbit(slowLink)} among ${others.length}`,
    figures: [
      { side: 'until the last of the others has it', unit: 's', values: [outcome.seconds] },
      ...figures,
    ],
    checks: [
      { label: 'time / size over the slow link', unit: 'x', values: [outcome.seconds / atSlow], atMost: 0.5 },
      { label: 'sent by upstream', unit: 'x', values: [outcome.egress], atMost: 1.25 },
    ],
    notes,
  })
}

/** Two zones, each joined to the rest by one line, over which one copy comes. */
async function zones(run: Cluster): Promise<void> {
  const { context, lab, link } = run
  const received = (): number[] => ZONES.map((zone) => lab.network.trafficOf(zone).received)
  let crossed: number[] = []
  const outcome = await runWith(run, { link, upstream: link }, async (image) => {
    const before = received()
    const pulls = await Promise.all(lab.nodes.map((node) => node.pull(image, UNCHECKED)))
    crossed = received().map((after, at) => after - (before[at] ?? 0))
    return pulls
  })
  const { figures, notes } = about([outcome])
  const copies = crossed.map((bytes) => bytes / outcome.bytes)
  context.report({
    name: `${lab.nodes.length} nodes in ${ZONES.length} zones, links ${mbit(link)}`,
    figures,
    checks: [
      { label: 'copies over the line to a zone', unit: 'x', values: copies, atMost: 1.3 },
      { label: 'sent by upstream', unit: 'x', values: [outcome.egress], atMost: 1 },
    ],
    notes,
  })
}
