import type { Lab } from '../../../../testkit/lab/lab.ts'
import type { Rate } from '../../../../testkit/lab/network.ts'
import type { ClusterNode } from '../../../../testkit/lab/node.ts'
import type { Pulled } from '../../../../testkit/lab/programs/machine-program.ts'
import type { MadeImage } from '../../../../testkit/lab/programs/upstream-program.ts'
import type { Context } from '../../../context.ts'
import { busyBetween, processors } from '../../../processor-use.ts'

export interface MeasuredCluster {
  readonly context: Context
  readonly lab: Lab
  readonly link: Rate
  /** The rate of a link when all nodes use theirs at once, so that the network is the limit and not the processors. */
  readonly slowLink: Rate
}

const MIB = 1 << 20
export const LAYERS = [28 * MIB, 20 * MIB, 12 * MIB, 4 * MIB]

/** The pulls of one new image by several nodes. */
export interface Outcome {
  readonly pulls: readonly Pulled[]
  /** From the first start to the last end. */
  readonly seconds: number
  /** How many copies of the image's blobs upstream has sent, by bytes. */
  readonly copiesSent: number
  /** All bytes on upstream's link, with headers and manifests, over the size of the image's blobs. */
  readonly copiesOnLink: number
  /** How busy all processors of the machine were, in percent. */
  readonly busy: number
  /** The processor time of the agents of the nodes that have pulled, for each GB of the image and for each of them. */
  readonly cpuSecondsPerGB: number
  /** The size of the image's blobs. */
  readonly bytes: number
}

/** Sets the rates of all links, makes a new image, and measures `pull`. Every node that is `complete` then pulls again, hashed. */
export async function measurePulls(
  { lab }: MeasuredCluster,
  rates: { readonly link: Rate; readonly upstream: Rate },
  pull: (image: MadeImage) => Promise<readonly Pulled[]>,
  complete: () => readonly ClusterNode[] = () => lab.nodes,
): Promise<Outcome> {
  const { network, upstream } = lab
  for (const { machine } of lab.nodes) network.setRate(machine, rates.link)
  network.setRate(upstream.machine, rates.upstream)
  const image = await upstream.makeImage(LAYERS)
  const bytes = image.blobs.reduce((sum, blob) => sum + blob.size, 0)
  await upstream.resetTraffic()
  const sentBefore = network.traffic(upstream.machine).sent
  const before = processors()
  const cpuBefore = cpuSecondsOf(lab)
  const pulls = await pull(image)
  const cpuSecondsPerGB = (cpuSecondsOf(lab) - cpuBefore) / pulls.length / (bytes / 1e9)
  const busy = busyBetween(before, processors())
  const copiesSent = (await upstream.traffic()).copiesSent(image)
  const copiesOnLink = (network.traffic(upstream.machine).sent - sentBefore) / bytes
  for (const node of complete()) await node.pull(image)
  await upstream.drop(image)
  const startedAt = Math.min(...pulls.map((one) => one.startedAt))
  const endedAt = Math.max(...pulls.map((one) => one.endedAt))
  return {
    pulls,
    seconds: (endedAt - startedAt) / 1000,
    copiesSent,
    copiesOnLink,
    busy,
    cpuSecondsPerGB,
    bytes,
  }
}

/** The processor time of all agents that run. */
function cpuSecondsOf(lab: Lab): number {
  return lab.nodes.reduce((sum, node) => sum + (node.isUp ? node.usage().cpuSeconds : 0), 0)
}

/** Pulls do not hash, because the clients of all nodes share the processors with the agents. */
export const UNCHECKED = { hash: false, deadlineMs: 600_000 }

/** Seconds that the bytes take at this rate without headers. */
export function secondsAt(bytes: number, rate: Rate): number {
  return (bytes * 8) / rate
}

/** The part of its link's rate that a pull has used. */
export function linkShareOf(pulled: Pulled, link: Rate): number {
  return (1000 * secondsAt(pulled.bytes, link)) / (pulled.endedAt - pulled.startedAt)
}

export function mbit(rate: Rate): string {
  return `${Math.round(rate / 1e6)} Mbit/s`
}

export const BUSY = {
  percent: 85,
  note: 'the processors were busy nearly all the time: with more processors the pulls may be faster',
}

/** For every row: whether the network limited the pulls, or the processors. */
export function limitsOf(outcomes: readonly Outcome[]) {
  return {
    figures: [
      { side: 'sent over the link of upstream', unit: 'x', values: outcomes.map((one) => one.copiesOnLink) },
      { side: 'processors busy', unit: '%', values: outcomes.map((one) => one.busy) },
    ],
    notes: outcomes.some((one) => one.busy > BUSY.percent) ? [BUSY.note] : [],
  }
}
