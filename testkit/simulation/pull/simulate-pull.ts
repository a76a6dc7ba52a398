import { DEFAULT_PIECE_BYTES, type PullSimulation } from './pull-options.ts'
import type { MemberTimes } from './simulated-members.ts'
import { SimulatedSwarm } from './simulated-swarm.ts'

export interface PullResult {
  /** When the last member was complete. */
  readonly lastMs: number
  /** A lower bound of `lastMs` for every way to pass pieces on. */
  readonly boundMs: number
  /** Bytes that upstream sent, as a multiple of the image. */
  readonly egressRatio: number
  /** Bytes that crossed from zone to zone, as a multiple of the image. */
  readonly crossings: number
  readonly instructions: number
  /** How often a member was told to be the fetcher of a layer. */
  readonly fetchInstructions: number
  readonly events: number
  /** The most steps between upstream and a member. */
  readonly maxDepth: number
  readonly perMember: readonly MemberTimes[]
  /** How long the simulation itself took. */
  readonly wallMs: number
}

/** A simulation that takes this multiple of the lower bound will not end. */
const MAX_RATIO = 50

/** Lets a swarm pull an image over simulated links in simulated time, by the delivery plans and owners of the real code. */
export function simulatePull(simulation: PullSimulation): PullResult {
  const startedMs = performance.now()
  const boundMs = lowerBoundMs(simulation)
  const swarm = new SimulatedSwarm(simulation)
  while (!swarm.isDone) {
    swarm.step()
    if (swarm.nowMs > 60_000 + swarm.lastJoinMs + MAX_RATIO * boundMs) {
      throw new Error(`not done: ${swarm.describeIncomplete()}`)
    }
  }
  const { perMember } = swarm
  const imageBytes = simulation.layers.reduce((sum, size) => sum + size, 0)
  return {
    lastMs: Math.max(...perMember.map(({ doneMs }) => doneMs ?? 0)),
    boundMs,
    egressRatio: swarm.upstreamBytes / imageBytes,
    crossings: swarm.crossedBytes / imageBytes,
    instructions: swarm.instructions,
    fetchInstructions: swarm.fetchInstructions,
    events: swarm.events,
    maxDepth: swarm.maxDepth,
    perMember,
    wallMs: performance.now() - startedMs,
  }
}

function lowerBoundMs(simulation: PullSimulation): number {
  const { members, layers, linkBytesPerSecond, upstreamBytesPerSecond, pieceBytes } = simulation
  const imageBytes = layers.reduce((sum, size) => sum + size, 0)
  // The number of members that have a piece can at most double while a link carries one piece.
  const doublings = Math.floor(Math.log2(members)) / (imageBytes / (pieceBytes ?? DEFAULT_PIECE_BYTES))
  const linkSeconds = ((1 + doublings) * imageBytes) / linkBytesPerSecond
  return 1000 * Math.max(imageBytes / upstreamBytesPerSecond, linkSeconds)
}
