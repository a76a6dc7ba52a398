import type { Lab } from '../../../../testkit/lab/lab.ts'
import type { Rate } from '../../../../testkit/lab/network.ts'
import type { ClusterNode } from '../../../../testkit/lab/node.ts'
import type { Pulled } from '../../../../testkit/lab/programs/machine-program.ts'
import type { MadeImage } from '../../../../testkit/lab/programs/upstream-program.ts'
import type { Context } from '../../../context.ts'
import { busyBetween, processors } from '../../../processor-use.ts'

export interface Cluster {
  readonly context: Context
  readonly lab: Lab
  readonly link: Rate
  /** Of a link when all nodes use theirs at once: slow enough that the network is the limit, and not the processors. */
  readonly slowLink: Rate
}

const MIB = 1 << 20
export const LAYERS = [28 * MIB, 20 * MIB, 12 * MIB, 4 * MIB]

/** What a run of pulls of one new image has come to. */
export interface Outcome {
  readonly pulls: readonly Pulled[]
  /** From the first start to the last end. */
  readonly seconds: number
  /** Bytes of the image's blobs that upstream has sent, over what they have. */
  readonly egress: number
  /** The same by the counter of upstream's link: headers, manifest, everything. */
  readonly wire: number
  /** How busy all processors of the machine were, in percent. */
  readonly busy: number
  /** Of the image. */
  readonly bytes: number
}

/** Sets all links, makes a new image and lets `pull` get it; what has come is hashed again when the time is taken. */
export async function runWith(
  { lab }: Cluster,
  rates: { readonly link: Rate; readonly upstream: Rate },
  pull: (image: MadeImage) => Promise<readonly Pulled[]>,
  whole: () => readonly ClusterNode[] = () => lab.nodes,
): Promise<Outcome> {
  const { network, upstream } = lab
  for (const { place } of lab.nodes) network.setRate(place, rates.link)
  network.setRate(upstream.place, rates.upstream)
  const image = await upstream.image(LAYERS)
  const bytes = image.blobs.reduce((sum, blob) => sum + blob.size, 0)
  await upstream.forget()
  const sentBefore = network.traffic(upstream.place).sent
  const before = processors()
  const pulls = await pull(image)
  const busy = busyBetween(before, processors())
  const egress = (await upstream.accounts()).egress(image)
  const wire = (network.traffic(upstream.place).sent - sentBefore) / bytes
  for (const node of whole()) await node.pull(image)
  await upstream.drop(image)
  const startedAt = Math.min(...pulls.map((one) => one.startedAt))
  const endedAt = Math.max(...pulls.map((one) => one.endedAt))
  return { pulls, seconds: (endedAt - startedAt) / 1000, egress, wire, busy, bytes }
}

/** As runtimes do, but that nothing is hashed: sixteen of them share the processors with sixteen agents. */
export const UNCHECKED = { hash: false, deadlineMs: 600_000 }

/** Seconds that so many bytes take at that rate when nothing is wrapped around them. */
export function atBest(bytes: number, rate: Rate): number {
  return (bytes * 8) / rate
}

/** What part of its link a pull has used. */
export function shareOf(pulled: Pulled, link: Rate): number {
  return (1000 * atBest(pulled.bytes, link)) / (pulled.endedAt - pulled.startedAt)
}

export function mbit(rate: Rate): string {
  return `${Math.round(rate / 1e6)} Mbit/s`
}

export const BUSY = {
  percent: 85,
  note: 'the processors were busy nearly all the time: with more of them it may well be faster',
}

/** For every row: whether its figures are of the network. */
export function about(outcomes: readonly Outcome[]) {
  return {
    figures: [
      { side: 'sent over the link of upstream', unit: 'x', values: outcomes.map((one) => one.wire) },
      { side: 'processors busy', unit: '%', values: outcomes.map((one) => one.busy) },
    ],
    notes: outcomes.some((one) => one.busy > BUSY.percent) ? [BUSY.note] : [],
  }
}
