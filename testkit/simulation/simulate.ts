import type { MemberId } from '../../src/peers/identity/member.ts'
import { Swarm } from './swarm.ts'

export interface Kill {
  readonly atMs: number
  /** Of those who are there. */
  readonly share: number
  /** So many of the layers' owners are among them. */
  readonly owners?: number
  /** Nobody is told: no connection is reset, there is just silence. */
  readonly silent?: boolean
}

export interface Overheads {
  /** A new connection, with its handshake. */
  readonly connectMs: number
  /** How often each says how far it is. */
  readonly reportMs: number
  /** Until upstream's first byte. */
  readonly upstreamMs: number
  /** Between a member's end and the moment at which another knows that it is gone. */
  readonly noticeMs: number
  /** Between a silent member's end and the moment at which those who take from it, or talk to it, give it up. */
  readonly silenceMs: number
  /** A piece that has come is checked and can be passed on. */
  readonly pieceMs: number
}

export interface Simulation {
  readonly members: number
  readonly zones?: number
  readonly linkBytesPerSecond: number
  readonly upstreamBytesPerSecond: number
  readonly layers: readonly number[]
  readonly pieceBytes?: number
  readonly latencyMs?: number
  readonly overheads?: Partial<Overheads>
  readonly kills?: readonly Kill[]
  /** When each begins to pull; without it all do so within 50 ms. */
  readonly joinsAtMs?: (member: number) => number
  /** Part of the link's speed that a member has; 1 for most. */
  readonly speed?: (member: number) => number
  /** Bytes per second that a member says it has received at best. */
  readonly best?: (member: number) => number | undefined
  readonly seed: number
}

export interface MemberTime {
  readonly joinedMs: number
  /** Undefined for those who were killed. */
  readonly doneMs: number | undefined
}

export interface Simulated {
  readonly lastMs: number
  /** No way of passing pieces on can be faster. */
  readonly boundMs: number
  /** Bytes from upstream, in times of the image. */
  readonly egressRatio: number
  /** Bytes over the borders of zones, in times of the image. */
  readonly crossings: number
  readonly orders: number
  /** How often somebody was told to bring a layer from upstream. */
  readonly sent: number
  readonly events: number
  /** The longest way from upstream, in steps, that was seen. */
  readonly depth: number
  readonly perMember: readonly MemberTime[]
  /** How long this took. */
  readonly wallMs: number
}

export const OVERHEADS: Overheads = {
  connectMs: 5,
  reportMs: 500,
  upstreamMs: 50,
  noticeMs: 100,
  silenceMs: 3000,
  pieceMs: 1,
}

/** Time in the simulation after which something must be wrong. */
const LONGEST = 50

/** Lets a cluster pull an image, in simulated time and with simulated links, by what `owner` and `gathering` say. */
export function simulate(simulation: Simulation): Simulated {
  const started = performance.now()
  const boundMs = boundOf(simulation)
  const swarm = new Swarm(simulation)
  while (!swarm.isDone) {
    swarm.step()
    if (swarm.now > 60_000 + swarm.lastJoinMs + LONGEST * boundMs)
      throw new Error(`not done: ${swarm.told()}`)
  }
  const { perMember } = swarm
  const bytes = simulation.layers.reduce((sum, size) => sum + size, 0)
  return {
    lastMs: Math.max(...perMember.map(({ doneMs }) => doneMs ?? 0)),
    boundMs,
    egressRatio: swarm.brought / bytes,
    crossings: swarm.crossed / bytes,
    orders: swarm.orders,
    sent: swarm.sent,
    events: swarm.events,
    depth: swarm.depth,
    perMember,
    wallMs: performance.now() - started,
  }
}

function boundOf(simulation: Simulation): number {
  const { members, layers, linkBytesPerSecond, upstreamBytesPerSecond, pieceBytes = 65_536 } = simulation
  const bytes = layers.reduce((sum, size) => sum + size, 0)
  const relays = Math.floor(Math.log2(members)) / (bytes / pieceBytes)
  return 1000 * Math.max(bytes / upstreamBytesPerSecond, ((1 + relays) * bytes) / linkBytesPerSecond)
}

export function memberNamed(at: number): MemberId {
  return at.toString(16).padStart(32, '0') as MemberId
}
