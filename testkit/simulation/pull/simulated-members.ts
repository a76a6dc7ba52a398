import type { MemberId } from '../../../src/peers/identity/member.ts'

export interface MemberTimes {
  readonly joinedMs: number
  /** Undefined for members that were killed. */
  readonly doneMs: number | undefined
}

/** Which members of a simulated swarm are alive, and which of them have all layers. */
export class SimulatedMembers {
  readonly ids: readonly MemberId[]
  readonly #indexById: ReadonlyMap<MemberId, number>
  readonly #isAlive: Uint8Array
  readonly #missingLayers: Int32Array
  readonly #doneMs: (number | undefined)[]
  #incompleteCount: number

  constructor(count: number, layers: number) {
    this.ids = Array.from({ length: count }, (_, at) => at.toString(16).padStart(32, '0') as MemberId)
    this.#indexById = new Map(this.ids.map((id, at) => [id, at]))
    this.#isAlive = new Uint8Array(count).fill(1)
    this.#missingLayers = new Int32Array(count).fill(layers)
    this.#doneMs = Array.from({ length: count })
    this.#incompleteCount = count
  }

  get areAllDone(): boolean {
    return this.#incompleteCount === 0
  }

  get live(): number[] {
    return [...this.ids.keys()].filter((member) => this.isAlive(member))
  }

  id(member: number): MemberId {
    return this.ids[member] as MemberId
  }

  index(id: MemberId): number {
    return this.#indexById.get(id) as number
  }

  isAlive(member: number): boolean {
    return this.#isAlive[member] === 1
  }

  kill(member: number): void {
    this.#isAlive[member] = 0
    if (this.#doneMs[member] === undefined) this.#incompleteCount -= 1
    this.#doneMs[member] = undefined
  }

  noteLayerComplete(member: number, nowMs: number): void {
    this.#missingLayers[member] = (this.#missingLayers[member] as number) - 1
    if (this.#missingLayers[member] !== 0) return
    this.#doneMs[member] = nowMs
    this.#incompleteCount -= 1
  }

  times(joinsAtMs: readonly number[]): MemberTimes[] {
    return joinsAtMs.map((joinedMs, at) => ({ joinedMs, doneMs: this.#doneMs[at] }))
  }

  describeIncomplete(): string {
    const incomplete = this.live.filter((member) => (this.#missingLayers[member] as number) > 0)
    return `${incomplete.length} of ${this.ids.length} members`
  }
}
