import assert from 'node:assert/strict'
import type { MemberId } from '../../../src/peers/identity/member.ts'
import { DeliveryPlan } from '../../../src/peers/tracker/delivery-plan.ts'
import type { ClearedFetchers } from '../../../src/peers/tracker/stragglers/upstream-trials.ts'
import type { PlanEvent, PlanInstruction } from '../../../src/peers/tracker/tree/plan-events.ts'

export const PIECE_BYTES = 65_536
const TICK_MS = 250

/** One member as the model moves its bytes. A round is a quarter of a second. */
interface ModelMember {
  readonly id: MemberId
  readonly zone: string | undefined
  position: number
  instruction: PlanInstruction | undefined
  isWhole: boolean
  /** The member takes part, but gives nothing to its children. */
  isBroken: boolean
  /** The member asks upstream by instruction of another owner, which this plan has not replaced yet. */
  isFetchingForFormerOwner: boolean
  /** The most pieces that the member takes in a round. */
  takes: number
  /** The most pieces that the member gives to each child in a round. */
  gives: number
  /** The most pieces that the member gets from upstream in a round. */
  fetches: number
}

export interface ModelSwarmOptions {
  readonly size?: number
  /** Whether the plan knows the size from the start. */
  readonly isSizeKnown?: boolean
  readonly isTakeover?: boolean
  readonly clearedFetchers?: ClearedFetchers
}

export interface JoinOptions {
  readonly position?: number
  readonly whole?: boolean
  readonly zone?: string
  readonly from?: MemberId | 'upstream'
  readonly best?: number
  readonly hasFailed?: boolean
}

/**
 * A delivery plan and a model of the members that carry out its instructions: parents deliver pieces in rounds, on a
 * clock that the test moves. It asserts what every plan must hold at every moment.
 */
export class ModelSwarm {
  readonly plan: DeliveryPlan
  readonly members = new Map<MemberId, ModelMember>()
  /** Pairs of a participant and a parent that it has blamed. */
  readonly blamed = new Set<string>()
  /** Members that were told to give up. */
  readonly ended = new Set<MemberId>()
  /** All instructions so far. */
  readonly instructions: PlanInstruction[] = []
  readonly size: number
  isUpstreamDown = false
  upstreamBytes = 0
  nowMs = 1000

  constructor(options: ModelSwarmOptions = {}) {
    const { size = 64 * PIECE_BYTES, isSizeKnown = true, isTakeover, clearedFetchers } = options
    this.size = size
    this.plan = new DeliveryPlan({
      digest: 'sha256:1',
      ...(isSizeKnown ? { size } : {}),
      isTakeover,
      clearedFetchers,
      now: () => this.nowMs,
    })
  }

  member(name: string): ModelMember {
    return this.members.get(memberId(name)) ?? assert.fail(`there is no member ${name}`)
  }

  parentsOf(...names: string[]): (MemberId | undefined)[] {
    return names.map((name) => this.plan.parentOf(memberId(name)))
  }

  join(name: string, options: JoinOptions = {}): PlanInstruction[] {
    const id = memberId(name)
    const { position = 0, whole = false, zone, from, best, hasFailed } = options
    this.members.set(id, {
      id,
      zone,
      position: whole ? this.size : position,
      instruction: instructionOf(id, from),
      isWhole: whole,
      isBroken: false,
      isFetchingForFormerOwner: from === 'upstream',
      takes: Number.POSITIVE_INFINITY,
      gives: Number.POSITIVE_INFINITY,
      fetches: Number.POSITIVE_INFINITY,
    })
    this.ended.delete(id)
    return this.tell({ is: 'joined', id, zone, position, whole, from, best, hasFailed })
  }

  leave(name: string): PlanInstruction[] {
    this.members.delete(memberId(name))
    return this.tell({ is: 'left', id: memberId(name) })
  }

  tell(event: PlanEvent): PlanInstruction[] {
    const isParticipant = 'id' in event && this.plan.has(event.id)
    if (event.is === 'blamed' && isParticipant && this.plan.has(event.parent)) {
      this.blamed.add(`${event.id} ${event.parent}`)
    }
    return this.#follow(this.plan.handle(event))
  }

  tick(ms = TICK_MS): PlanInstruction[] {
    this.nowMs += ms
    return this.#follow(this.plan.tick())
  }

  /** One round in which each member carries out its instruction and reports its progress. */
  runRound(pieces = 8): void {
    const before = new Map([...this.members.values()].map((member) => [member.id, member.position]))
    for (const member of [...this.members.values()]) {
      const { instruction, id } = member
      if (!this.members.has(id) || member.isWhole) continue
      const most = member.position + Math.min(pieces, member.takes) * PIECE_BYTES
      if (instruction?.do === 'fetch' || instruction?.do === 'alone') {
        if (this.isUpstreamDown) {
          this.tell({ is: 'failed', id })
          continue
        }
        const fetched = Math.min(most, member.position + member.fetches * PIECE_BYTES)
        this.upstreamBytes += Math.min(this.size, fetched) - member.position
        member.position = Math.min(this.size, fetched)
      } else if (instruction?.do === 'take') {
        const parent = this.members.get(instruction.from)
        if (parent === undefined || parent.isBroken) {
          this.tell({ is: 'lost', id, parent: instruction.from })
          continue
        }
        const available = before.get(parent.id) ?? 0
        const given = Math.min(most, member.position + parent.gives * PIECE_BYTES)
        member.position = Math.max(member.position, Math.min(this.size, given, available))
      }
      if (member.position === this.size) {
        member.isWhole = true
        this.tell({ is: 'whole', id })
      } else this.tell({ is: 'at', id, position: member.position })
    }
    for (const { id, position, isWhole } of this.members.values()) {
      if (isWhole) this.tell({ is: 'at', id, position })
    }
    this.tick()
  }

  /** Runs rounds until all members are whole or told to give up. Returns how many rounds that took. */
  runUntilWhole(maxRounds = 4000): number {
    for (let rounds = 0; rounds < maxRounds; rounds += 1) {
      const incomplete = [...this.members.values()].filter(
        ({ isWhole, id }) => !isWhole && !this.ended.has(id),
      )
      if (incomplete.length === 0) return rounds
      this.runRound()
    }
    const states = [...this.members.values()].map(
      ({ id, position, instruction }) => `${id}@${position}:${JSON.stringify(instruction)}`,
    )
    throw new Error(`not all members became whole: ${states.join(' ')}`)
  }

  #follow(instructions: PlanInstruction[]): PlanInstruction[] {
    const instructed = new Set<MemberId>()
    for (const instruction of instructions) {
      const { to } = instruction
      assert.ok(!instructed.has(to), `two instructions to ${to} at once`)
      instructed.add(to)
      const member = this.members.get(to)
      assert.ok(member !== undefined, `an instruction to ${to}, which has left`)
      member.instruction = instruction
      member.isFetchingForFormerOwner = false
      if (instruction.do === 'end') this.ended.add(to)
      if (instruction.do === 'take') {
        const { from } = instruction
        assert.ok(this.plan.has(from), `${to} is to take from ${from}, which has left`)
        assert.ok(!this.blamed.has(`${to} ${from}`), `${to} is to take from ${from}, which it has blamed`)
        assert.equal(this.plan.parentOf(to), from)
      }
    }
    this.instructions.push(...instructions)
    if (instructions.length > 0) this.#assertSound()
    return instructions
  }

  #assertSound(): void {
    const members = [...this.members.values()]
    const fetchers = members.filter(
      ({ instruction, isWhole, isFetchingForFormerOwner }) =>
        instruction?.do === 'fetch' && !isWhole && !isFetchingForFormerOwner,
    )
    assert.ok(fetchers.length <= 1, `several fetchers: ${fetchers.map(({ id }) => id).join(' ')}`)
    const direct = members.filter(({ instruction }) => instruction?.do === 'alone')
    assert.ok(direct.length <= 2, `more than two direct participants: ${direct.map(({ id }) => id)}`)
    for (const { id } of members) {
      const ancestors = new Set<MemberId>()
      for (let at: MemberId | undefined = id; at !== undefined; at = this.plan.parentOf(at)) {
        assert.ok(!ancestors.has(at), `${id} is its own ancestor`)
        ancestors.add(at)
      }
    }
  }
}

function instructionOf(to: MemberId, from: MemberId | 'upstream' | undefined): PlanInstruction | undefined {
  if (from === undefined) return undefined
  return from === 'upstream' ? { to, do: 'fetch' } : { to, do: 'take', from }
}

/** Plans compare identities only, so short names serve as such. */
export function memberId(name: string): MemberId {
  return name as MemberId
}

/** Member `0` asks upstream, `1` takes from `0`, and so on. */
export function chain(count: number, options: ModelSwarmOptions = {}): ModelSwarm {
  const swarm = new ModelSwarm(options)
  for (let at = 0; at < count; at += 1) swarm.join(`${at}`)
  return swarm
}

/** The instruction to ask upstream for all. */
export const fetch = (to: string) => ({ to: memberId(to), do: 'fetch' })
/** The instruction to take from a parent. */
export const take = (to: string, from: string) => ({ to: memberId(to), do: 'take', from: memberId(from) })
