import { Semaphore } from '../../lib/async/semaphore.ts'
import { addressGroup } from '../../lib/client-address.ts'
import type { OnPace } from '../../ports/access/pull-rights.ts'
import { Failure } from '../../ports/failure.ts'
import { WrongLogins } from '../passwords/wrong-logins.ts'

/**
 * `absent`: the registry says that there is no such content. `unknown`: the registry was asked and gave no answer, or is not
 * asked because it gives none. `not-asked`: this agent has not asked it, because of its own limits; a client can bring that about, so no
 * earlier answer counts then.
 */
export type Answer = 'confirmed' | 'denied' | 'absent' | 'unknown' | 'not-asked'

const AT_ONCE = 8
const MOST_PENDING = 256
/** One address, such as that of a node with many pods, leaves room for the others. */
const MOST_PENDING_OF_ADDRESS = 64
/** All pods of a node have the same address, so more are allowed than of the agent's own passwords. */
const MOST_WRONG = 30
/**
 * How long a registry may take to answer: longer than a connection and the header of an answer may take, so that a registry
 * that hangs fails by these deadlines, and its circuit opens.
 */
export const ANSWER_MS = 20_000
/** How long a registry counts as silent after a question without an answer. */
const SILENT_MS = 60_000

/** Whose question it is. */
interface Asker {
  readonly address: string
  readonly hasLogin: boolean
  /** Ends all waiting. */
  readonly signal: AbortSignal
}

/**
 * The limits of the questions to one registry: few at a time, few of one address, and no more guesses than a person makes. Each
 * registry has its own, so that one that hangs keeps no question from another one.
 */
export class RegistryLimits {
  readonly #now: () => number
  readonly #wrong: WrongLogins
  readonly #slots = new Semaphore(AT_ONCE)
  readonly #pending = new Map<string, number>()
  #pendingCount = 0
  /** When a question had no answer, if no other question has had one since. */
  #silentAt: number | undefined

  constructor(now: () => number = () => performance.now()) {
    this.#now = now
    this.#wrong = new WrongLogins(now, MOST_WRONG)
  }

  /** Runs `decide`, which sends its questions by `ask`, unless too many are pending or too many logins were wrong. */
  async admit({ address, hasLogin, signal }: Asker, decide: () => Promise<Answer>): Promise<Answer> {
    if (!this.#hasRoomFor(address)) return this.#withoutSlot()
    this.#countPending(address, 1)
    try {
      if (!hasLogin) return await decide()
      const attempt = await this.#wrong.begin(address, { signal })
      if (attempt.kind === 'must-wait') return 'not-asked'
      if (attempt.kind === 'no-place') return this.#withoutSlot()
      let answer: Answer = 'not-asked'
      try {
        answer = await decide()
        return answer
      } finally {
        attempt.end(answer !== 'denied')
      }
    } finally {
      this.#countPending(address, -1)
    }
  }

  /** Sends one question as soon as fewer are under way. */
  async ask(
    signal: AbortSignal,
    send: (signal: AbortSignal, onPace: OnPace) => Promise<void>,
  ): Promise<Answer> {
    const deadline = new AbortController()
    let timer: NodeJS.Timeout | undefined
    let isSent = false
    let isPaced = false
    // The time of a registry begins when its question is sent, also after each wait for a limit of this agent.
    const onPace: OnPace = (state) => {
      isPaced = state === 'waits'
      clearTimeout(timer)
      if (isPaced) return
      timer = setTimeout(() => deadline.abort(new Error('the registry gives no answer')), ANSWER_MS)
      timer.unref()
    }
    try {
      await this.#slots.use(signal, () => {
        isSent = true
        onPace('begins')
        return send(AbortSignal.any([signal, deadline.signal]), onPace)
      })
      this.#silentAt = undefined
      return 'confirmed'
    } catch (error) {
      const code = error instanceof Failure ? error.code : undefined
      if (code === 'denied' || code === 'absent') {
        this.#silentAt = undefined
        return code
      }
      // A client can use up a limit of this agent. It says nothing about the registry.
      if (isPaced) return 'not-asked'
      // A question that its client has cut off says nothing about the registry.
      if (!isSent || signal.aborted) return this.#withoutSlot()
      this.#silentAt = this.#now()
      return 'unknown'
    } finally {
      clearTimeout(timer)
    }
  }

  /** Slots that a silent registry holds are its failure; that others are full can be the doing of a client. */
  #withoutSlot(): Answer {
    const isSilent = this.#silentAt !== undefined && this.#now() - this.#silentAt < SILENT_MS
    return isSilent ? 'unknown' : 'not-asked'
  }

  #hasRoomFor(address: string): boolean {
    const ofAddress = this.#pending.get(addressGroup(address)) ?? 0
    return this.#pendingCount < MOST_PENDING && ofAddress < MOST_PENDING_OF_ADDRESS
  }

  #countPending(address: string, change: 1 | -1): void {
    const group = addressGroup(address)
    const count = (this.#pending.get(group) ?? 0) + change
    if (count === 0) this.#pending.delete(group)
    else this.#pending.set(group, count)
    this.#pendingCount += change
  }
}
