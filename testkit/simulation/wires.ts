export const NOBODY = -1
export const UPSTREAM = -2

const ROUNDS = 4

export interface WiresOptions {
  readonly members: number
  readonly layers: readonly number[]
  readonly pieceBytes: number
  /** Of each member, in and out alike. */
  readonly links: Float64Array
  readonly upstreamBytesPerSecond: number
  readonly stepMs: number
  /** From one who has a piece to one who takes it. */
  readonly latencyMs: number
}

/**
 * The bytes: who takes which layer from whom, and how far it has come. In each step every link, in and out, and upstream
 * are shared equally by those who have something to take over them; what one leaves, others get. A piece can be passed
 * on when all of it has come, in the next step at the soonest, so that a chain costs what it costs.
 */
export class Wires {
  readonly position: Float64Array
  /** By layer and member: whom it takes from. */
  readonly source: Int32Array
  readonly openAt: Float64Array
  /** Bytes that came from upstream. */
  brought = 0
  readonly #options: WiresOptions
  readonly #past: Float64Array[]
  readonly #up: Float64Array
  readonly #down: Float64Array
  readonly #uses: Int32Array
  readonly #takes: Int32Array
  readonly #demand: Float64Array
  readonly #active: Int32Array
  #steps = 0

  constructor(options: WiresOptions) {
    const { members, layers, stepMs, latencyMs } = options
    const flows = members * layers.length
    this.#options = options
    this.position = new Float64Array(flows)
    this.source = new Int32Array(flows).fill(NOBODY)
    this.openAt = new Float64Array(flows)
    const length = Math.max(1, Math.round(latencyMs / stepMs))
    this.#past = Array.from({ length }, () => new Float64Array(flows))
    // The last one is upstream.
    this.#up = new Float64Array(members + 1)
    this.#down = new Float64Array(members)
    this.#uses = new Int32Array(members + 1)
    this.#takes = new Int32Array(members)
    this.#demand = new Float64Array(flows)
    this.#active = new Int32Array(flows)
  }

  /** What one has of a layer that it can pass on. */
  given(flow: number): number {
    const { members, layers, pieceBytes } = this.#options
    const position = this.position[flow] as number
    const size = layers[Math.floor(flow / members)] as number
    return position >= size ? size : Math.floor(position / pieceBytes) * pieceBytes
  }

  /** Moves what can be moved in one step; gives the flows that came to their end. */
  step(now: number): number[] {
    const { members, layers, links, stepMs, upstreamBytesPerSecond } = this.#options
    const seen = this.#past[this.#steps++ % this.#past.length] as Float64Array
    const ended: number[] = []
    let count = 0
    for (const [layer, size] of layers.entries()) {
      for (let at = layer * members; at < (layer + 1) * members; at += 1) {
        const source = this.source[at] as number
        if (source === NOBODY || now < (this.openAt[at] as number)) continue
        const position = this.position[at] as number
        const there = source === UPSTREAM ? size : (seen[layer * members + source] as number)
        if (there <= position) continue
        this.#demand[at] = there - position
        this.#active[count++] = at
      }
    }
    const seconds = stepMs / 1000
    for (let at = 0; at < members; at += 1) this.#up[at] = this.#down[at] = (links[at] as number) * seconds
    this.#up[members] = upstreamBytesPerSecond * seconds
    for (let round = 0; round < ROUNDS && count > 0; round += 1) count = this.#share(count, ended)
    for (let flow = 0; flow < seen.length; flow += 1) seen[flow] = this.given(flow)
    return ended
  }

  #share(count: number, ended: number[]): number {
    const { members, layers } = this.#options
    const [uses, takes, active] = [this.#uses.fill(0), this.#takes.fill(0), this.#active]
    for (let at = 0; at < count; at += 1) {
      const flow = active[at] as number
      const from = this.#from(flow)
      uses[from] = (uses[from] as number) + 1
      takes[flow % members] = (takes[flow % members] as number) + 1
    }
    const [upShare, downShare] = [Float64Array.from(this.#up), Float64Array.from(this.#down)]
    for (let at = 0; at <= members; at += 1) upShare[at] = (upShare[at] as number) / (uses[at] || 1)
    for (let at = 0; at < members; at += 1) downShare[at] = (downShare[at] as number) / (takes[at] || 1)
    let left = 0
    for (let at = 0; at < count; at += 1) {
      const flow = active[at] as number
      const [from, to] = [this.#from(flow), flow % members]
      const demand = this.#demand[flow] as number
      const bytes = Math.min(demand, upShare[from] as number, downShare[to] as number)
      this.#up[from] = (this.#up[from] as number) - bytes
      this.#down[to] = (this.#down[to] as number) - bytes
      this.#demand[flow] = demand - bytes
      if (from === members) this.brought += bytes
      const position = (this.position[flow] as number) + bytes
      const size = layers[Math.floor(flow / members)] as number
      this.position[flow] = position > size - 0.5 ? size : position
      if (this.position[flow] === size) {
        ended.push(flow)
      } else if (demand - bytes > 1) active[left++] = flow
    }
    return left
  }

  #from(flow: number): number {
    const source = this.source[flow] as number
    return source === UPSTREAM ? this.#options.members : source
  }
}
