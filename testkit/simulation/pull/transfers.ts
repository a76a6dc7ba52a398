export const NO_SOURCE = -1
export const UPSTREAM = -2

/** How often in a step the capacity that some transfers left unused is shared among the others. */
const SHARE_ROUNDS = 4

export interface TransfersOptions {
  readonly members: number
  /** Sizes in bytes. */
  readonly layers: readonly number[]
  readonly pieceBytes: number
  /** Bytes per second of each member's link, in each direction. */
  readonly links: Float64Array
  readonly upstreamBytesPerSecond: number
  readonly stepMs: number
  /** From the moment at which a source has a piece until a taker can get it. */
  readonly latencyMs: number
}

/**
 * Moves bytes: one transfer for each member and layer, at index `layer * members + member`. In each step, the capacity of
 * every link, in each direction, and of upstream is shared equally by the transfers that use it; what one leaves unused
 * goes to the others. A piece can be passed on once it is complete, in the next step at the soonest, so that each step
 * of a chain costs time.
 */
export class Transfers {
  readonly position: Float64Array
  /** The member from which each transfer takes, or `NO_SOURCE`, or `UPSTREAM`. */
  readonly source: Int32Array
  readonly opensAtMs: Float64Array
  upstreamBytes = 0
  readonly #options: TransfersOptions
  /** A ring of what each transfer could give in past steps: takers see it with the latency. */
  readonly #givableBefore: Float64Array[]
  /** What is left in this step of each member's capacity to send; the last one is upstream's. */
  readonly #sendLeft: Float64Array
  readonly #receiveLeft: Float64Array
  /** How many active transfers use each sender and each receiver. */
  readonly #senderUses: Int32Array
  readonly #receiverUses: Int32Array
  readonly #demand: Float64Array
  readonly #active: Int32Array
  #steps = 0

  constructor(options: TransfersOptions) {
    const { members, layers, stepMs, latencyMs } = options
    const count = members * layers.length
    this.#options = options
    this.position = new Float64Array(count)
    this.source = new Int32Array(count).fill(NO_SOURCE)
    this.opensAtMs = new Float64Array(count)
    const latencySteps = Math.max(1, Math.round(latencyMs / stepMs))
    this.#givableBefore = Array.from({ length: latencySteps }, () => new Float64Array(count))
    this.#sendLeft = new Float64Array(members + 1)
    this.#receiveLeft = new Float64Array(members)
    this.#senderUses = new Int32Array(members + 1)
    this.#receiverUses = new Int32Array(members)
    this.#demand = new Float64Array(count)
    this.#active = new Int32Array(count)
  }

  /** How much of its layer a member can pass on: whole pieces only. */
  givable(transfer: number): number {
    const { pieceBytes } = this.#options
    const position = this.position[transfer] as number
    const size = this.#sizeOf(transfer)
    return position >= size ? size : Math.floor(position / pieceBytes) * pieceBytes
  }

  /** Moves what can be moved in one step. Returns the transfers that became complete. */
  step(nowMs: number): number[] {
    const { members, links, stepMs, upstreamBytesPerSecond } = this.#options
    const visible = this.#givableBefore[this.#steps++ % this.#givableBefore.length] as Float64Array
    const completed: number[] = []
    let activeCount = this.#findActive(visible, nowMs)
    const seconds = stepMs / 1000
    for (let at = 0; at < members; at += 1) {
      this.#sendLeft[at] = this.#receiveLeft[at] = (links[at] as number) * seconds
    }
    this.#sendLeft[members] = upstreamBytesPerSecond * seconds
    for (let round = 0; round < SHARE_ROUNDS && activeCount > 0; round += 1) {
      activeCount = this.#share(activeCount, completed)
    }
    for (let transfer = 0; transfer < visible.length; transfer += 1) {
      visible[transfer] = this.givable(transfer)
    }
    return completed
  }

  /** Lists the transfers whose source has bytes for them. Returns how many there are. */
  #findActive(visible: Float64Array, nowMs: number): number {
    const { members, layers } = this.#options
    let count = 0
    for (const [layer, size] of layers.entries()) {
      for (let at = layer * members; at < (layer + 1) * members; at += 1) {
        const source = this.source[at] as number
        if (source === NO_SOURCE || nowMs < (this.opensAtMs[at] as number)) continue
        const position = this.position[at] as number
        const available = source === UPSTREAM ? size : (visible[layer * members + source] as number)
        if (available <= position) continue
        this.#demand[at] = available - position
        this.#active[count++] = at
      }
    }
    return count
  }

  /** Gives each active transfer an equal share of what is left. Returns how many transfers still want more. */
  #share(count: number, completed: number[]): number {
    const { members } = this.#options
    const [senderUses, receiverUses] = [this.#senderUses.fill(0), this.#receiverUses.fill(0)]
    const active = this.#active
    for (let at = 0; at < count; at += 1) {
      const transfer = active[at] as number
      const [from, to] = [this.#senderOf(transfer), transfer % members]
      senderUses[from] = (senderUses[from] as number) + 1
      receiverUses[to] = (receiverUses[to] as number) + 1
    }
    const [sendShare, receiveShare] = [
      Float64Array.from(this.#sendLeft),
      Float64Array.from(this.#receiveLeft),
    ]
    for (let at = 0; at <= members; at += 1) {
      sendShare[at] = (sendShare[at] as number) / (senderUses[at] || 1)
    }
    for (let at = 0; at < members; at += 1) {
      receiveShare[at] = (receiveShare[at] as number) / (receiverUses[at] || 1)
    }
    let left = 0
    for (let at = 0; at < count; at += 1) {
      const transfer = active[at] as number
      const [from, to] = [this.#senderOf(transfer), transfer % members]
      const demand = this.#demand[transfer] as number
      const bytes = Math.min(demand, sendShare[from] as number, receiveShare[to] as number)
      this.#sendLeft[from] = (this.#sendLeft[from] as number) - bytes
      this.#receiveLeft[to] = (this.#receiveLeft[to] as number) - bytes
      this.#demand[transfer] = demand - bytes
      if (from === members) this.upstreamBytes += bytes
      const position = (this.position[transfer] as number) + bytes
      const size = this.#sizeOf(transfer)
      // Sums of fractions of a byte need not meet the size exactly.
      this.position[transfer] = position > size - 0.5 ? size : position
      if (this.position[transfer] === size) completed.push(transfer)
      else if (demand - bytes > 1) active[left++] = transfer
    }
    return left
  }

  #sizeOf(transfer: number): number {
    const { layers, members } = this.#options
    return layers[Math.floor(transfer / members)] as number
  }

  /** The index of upstream as a sender is after those of all members. */
  #senderOf(transfer: number): number {
    const source = this.source[transfer] as number
    return source === UPSTREAM ? this.#options.members : source
  }
}
