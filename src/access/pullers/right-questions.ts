import { Semaphore } from '../../lib/async/semaphore.ts'
import { SharedWork } from '../../lib/async/shared-work.ts'
import { addressGroup } from '../../lib/client-address.ts'
import { type Repository, repositoryKey } from '../../oci/names/repository.ts'
import type { PullRights, RegistryLogin, WantedContent } from '../../ports/access/pull-rights.ts'
import { Failure } from '../../ports/failure.ts'
import { WrongLogins } from '../passwords/wrong-logins.ts'
import { ConfirmedRights } from './confirmed-rights.ts'

/** Who asks for what. `key` names the credentials. */
interface RightQuestion {
  readonly repository: Repository
  readonly content: WantedContent
  readonly key: string
  readonly login: RegistryLogin | undefined
  readonly address: string
}

/**
 * `unknown`: the registry was asked and gave no answer. `not-asked`: this agent has not asked it, because of its own limits;
 * a client can bring that about, so no earlier answer counts then.
 */
export type Right = 'confirmed' | 'denied' | 'unknown' | 'not-asked'

const AT_ONCE = 8
const MOST_PENDING = 256
/** One address, such as that of a node with many pods, leaves room for the others. */
const MOST_PENDING_OF_ADDRESS = 64
/** How long a question waits until fewer are asked. */
const WAIT_MS = 5000
/** How long a registry may take to answer. */
const ANSWER_MS = 10_000
type AnswerCode = Right | 'absent'

/** All pods of a node have the same address, so more are allowed than of the agent's own passwords. */
const MOST_WRONG = 30

/** Asks registries for rights: each question once at a time, few at a time, and no more guesses than a person makes. */
export class RightQuestions {
  readonly #rights: Pick<PullRights, 'confirm'>
  readonly #known: ConfirmedRights
  readonly #asking = new SharedWork<Right>()
  readonly #slots = new Semaphore(AT_ONCE)
  readonly #wrong: WrongLogins
  readonly #pending = new Map<string, number>()
  #pendingCount = 0

  constructor(rights: Pick<PullRights, 'confirm'>, now?: () => number) {
    this.#rights = rights
    this.#known = new ConfirmedRights(now)
    this.#wrong = new WrongLogins(now, MOST_WRONG)
  }

  /** Says without asking whether the right was confirmed lately, or in the last `staleMs`. */
  isConfirmed({ key, repository }: Pick<RightQuestion, 'key' | 'repository'>, staleMs?: number): boolean {
    return this.#known.isConfirmed(rightOf(key, repository), staleMs)
  }

  async find(question: RightQuestion): Promise<Right> {
    const right = rightOf(question.key, question.repository)
    const content = JSON.stringify(question.content)
    if (this.#known.isConfirmed(right)) return 'confirmed'
    if (this.#known.isDenied(right, content)) return 'denied'
    const key = `${right} ${content}`
    if (!this.#asking.has(key) && !this.#hasRoomFor(question.address)) return 'not-asked'
    return this.#asking.run(key, () => this.#askWithinLimits(question)).promise
  }

  #hasRoomFor(address: string): boolean {
    const ofAddress = this.#pending.get(addressGroup(address)) ?? 0
    return this.#pendingCount < MOST_PENDING && ofAddress < MOST_PENDING_OF_ADDRESS
  }

  async #askWithinLimits(question: RightQuestion): Promise<Right> {
    const attempt = question.login && this.#wrong.begin(question.address)
    if (attempt?.kind === 'must-wait') return 'not-asked'
    this.#countPending(question.address, 1)
    let code: AnswerCode = 'not-asked'
    try {
      code = await this.#decide(question)
    } finally {
      this.#countPending(question.address, -1)
      attempt?.end(code !== 'denied')
    }
    return code === 'absent' ? 'denied' : code
  }

  async #decide(question: RightQuestion): Promise<AnswerCode> {
    const right = rightOf(question.key, question.repository)
    const content = JSON.stringify(question.content)
    const answer = await this.#ask(question, question.content)
    if (answer === 'confirmed') this.#known.confirm(right, question.content)
    if (answer === 'denied') this.#known.deny(right, content)
    return answer === 'absent' ? this.#decideOtherwise(question, right, content) : answer
  }

  /** A registry says `absent` of what is not there, and to those without a right: what it gave before tells which it is. */
  async #decideOtherwise(question: RightQuestion, right: string, content: string): Promise<AnswerCode> {
    const before = this.#known.contentOf(right)
    if (before === undefined || JSON.stringify(before) === content) {
      this.#known.deny(right, content)
      return 'absent'
    }
    const answer = await this.#ask(question, before)
    if (answer === 'confirmed') {
      this.#known.confirm(right, before)
      return 'confirmed'
    }
    if (answer === 'denied' || answer === 'absent') this.#known.deny(right, content)
    return answer === 'denied' ? 'denied' : 'absent'
  }

  async #ask({ repository, login }: RightQuestion, content: WantedContent): Promise<AnswerCode> {
    let isAsked = false
    try {
      await this.#slots.use(AbortSignal.timeout(WAIT_MS), () => {
        isAsked = true
        return this.#rights.confirm(repository, content, login, { signal: AbortSignal.timeout(ANSWER_MS) })
      })
      return 'confirmed'
    } catch (error) {
      const code = error instanceof Failure ? error.code : undefined
      if (code === 'denied' || code === 'absent') return code
      return isAsked ? 'unknown' : 'not-asked'
    }
  }

  #countPending(address: string, change: 1 | -1): void {
    const group = addressGroup(address)
    const count = (this.#pending.get(group) ?? 0) + change
    if (count === 0) this.#pending.delete(group)
    else this.#pending.set(group, count)
    this.#pendingCount += change
  }
}

function rightOf(key: string, repository: Repository): string {
  return `${key} ${repositoryKey(repository)}`
}
