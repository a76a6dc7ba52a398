import { maxDepth } from './max-depth.ts'
import { DEFAULT_PIECE_BYTES, type PullSimulation } from './pull-options.ts'
import { NO_SOURCE, Transfers } from './transfers.ts'
import { ZoneCrossings } from './zone-crossings.ts'

/** From whom each member takes each layer, and how far it is. Members and layers are given by their index. */
export class SimulatedDownloads {
  readonly stepMs: number
  readonly #members: number
  readonly #sizes: readonly number[]
  readonly #transfers: Transfers
  readonly #crossings: ZoneCrossings

  /** `latencyMs`: from the moment at which a parent has a piece until its child can take it. */
  constructor(simulation: PullSimulation, latencyMs: number) {
    const { members, layers, linkBytesPerSecond, upstreamBytesPerSecond, zones = 1 } = simulation
    const { pieceBytes = DEFAULT_PIECE_BYTES, speed = () => 1 } = simulation
    // Half of the time in which a link carries a piece, so that a step of a chain takes about as long as in reality.
    this.stepMs = Math.min(20, Math.max(0.5, (500 * pieceBytes) / linkBytesPerSecond))
    this.#members = members
    this.#sizes = layers
    this.#transfers = new Transfers({
      members,
      layers,
      pieceBytes,
      links: Float64Array.from({ length: members }, (_, at) => linkBytesPerSecond * speed(at)),
      upstreamBytesPerSecond,
      stepMs: this.stepMs,
      latencyMs,
    })
    this.#crossings = new ZoneCrossings(this.#transfers, { members, zones })
  }

  get upstreamBytes(): number {
    return this.#transfers.upstreamBytes
  }

  get crossedBytes(): number {
    return this.#crossings.bytes
  }

  /** Moves what can be moved in one step. Returns the downloads that became complete. */
  step(nowMs: number): { layer: number; member: number }[] {
    return this.#transfers.step(nowMs).map((transfer) => {
      const [layer, member] = [Math.floor(transfer / this.#members), transfer % this.#members]
      this.setSource(layer, member, NO_SOURCE)
      return { layer, member }
    })
  }

  /** A member, `UPSTREAM` or `NO_SOURCE`. */
  source(layer: number, member: number): number {
    return this.#transfers.source[this.#at(layer, member)] as number
  }

  /** Bytes flow from the source from `opensAtMs` on. */
  setSource(layer: number, member: number, source: number, opensAtMs?: number): void {
    const transfer = this.#at(layer, member)
    this.#crossings.count(transfer)
    this.#transfers.source[transfer] = source
    if (opensAtMs !== undefined) this.#transfers.opensAtMs[transfer] = opensAtMs
  }

  /** No more bytes flow from the source, which the member does not know yet. */
  breakOff(layer: number, member: number): void {
    this.#transfers.opensAtMs[this.#at(layer, member)] = Number.POSITIVE_INFINITY
  }

  childrenOf(layer: number, parent: number): number[] {
    const children: number[] = []
    for (let member = 0; member < this.#members; member += 1) {
      if (this.source(layer, member) === parent) children.push(member)
    }
    return children
  }

  isComplete(layer: number, member: number): boolean {
    return this.#position(layer, member) === this.#sizes[layer]
  }

  /** How many bytes of the layer the member can pass on. */
  givableBytes(layer: number, member: number): number {
    return this.#transfers.givable(this.#at(layer, member))
  }

  /** Of all layers. */
  receivedBytes(member: number): number {
    return this.#sizes.reduce((sum, _, layer) => sum + this.#position(layer, member), 0)
  }

  /** The most steps from a member without a parent to another one, over all layers. */
  maxDepth(): number {
    const depths = this.#sizes.map((_, layer) =>
      maxDepth(this.#transfers.source.subarray(layer * this.#members, (layer + 1) * this.#members)),
    )
    return Math.max(...depths)
  }

  #position(layer: number, member: number): number {
    return this.#transfers.position[this.#at(layer, member)] as number
  }

  #at(layer: number, member: number): number {
    return layer * this.#members + member
  }
}
