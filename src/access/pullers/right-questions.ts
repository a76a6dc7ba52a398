import { Semaphore } from '../../lib/async/semaphore.ts'
import { SharedWork } from '../../lib/async/shared-work.ts'
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

/** `unknown`: the registry could not be asked. */
export type Right = 'confirmed' | 'denied' | 'unknown'

const AT_ONCE = 8
const MOST_PENDING = 64
const DEADLINE_MS = 15_000
/** All pods of a node have the same address, so more are allowed than of the agent's own passwords. */
const MOST_WRONG = 30

/** Asks registries for rights: each question once at a time, few at a time, and no more guesses than a person makes. */
export class RightQuestions {
  readonly #rights: Pick<PullRights, 'confirm'>
  readonly #known: ConfirmedRights
  readonly #asking = new SharedWork<Right>()
  readonly #slots = new Semaphore(AT_ONCE)
  readonly #wrong: WrongLogins
  #pending = 0

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
    if (!this.#asking.has(key) && this.#pending >= MOST_PENDING) return 'unknown'
    return this.#asking.run(key, () => this.#ask(question, right, content)).promise
  }

  async #ask(question: RightQuestion, right: string, content: string): Promise<Right> {
    const attempt = question.login && this.#wrong.begin(question.address)
    if (attempt?.kind === 'must-wait') return 'unknown'
    this.#pending += 1
    let answer: Right = 'unknown'
    let isWrong = false
    try {
      const signal = AbortSignal.timeout(DEADLINE_MS)
      const { repository, login } = question
      await this.#slots.use(signal, () =>
        this.#rights.confirm(repository, question.content, login, { signal }),
      )
      answer = 'confirmed'
      this.#known.confirm(right)
    } catch (error) {
      const code = error instanceof Failure ? error.code : undefined
      isWrong = code === 'denied'
      if (isWrong || code === 'absent') {
        answer = 'denied'
        this.#known.deny(right, content)
      }
    } finally {
      this.#pending -= 1
      attempt?.end(!isWrong)
    }
    return answer
  }
}

function rightOf(key: string, repository: Repository): string {
  return `${key} ${repositoryKey(repository)}`
}
