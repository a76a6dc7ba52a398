import { SharedWork } from '../../lib/async/shared-work.ts'
import { type Repository, repositoryKey } from '../../oci/names/repository.ts'
import type { PullRights, RegistryLogin, WantedContent } from '../../ports/access/pull-rights.ts'
import { ConfirmedRights } from './confirmed-rights.ts'
import { type Answer, RegistryLimits } from './registry-limits.ts'

/** Who asks for what. `key` names the credentials. */
interface RightQuestion {
  readonly repository: Repository
  readonly content: WantedContent
  readonly key: string
  readonly login: RegistryLogin | undefined
  readonly address: string
  /** Until when an answer is of use. */
  readonly signal: AbortSignal
}

/** What is known of a right, as `Answer` says. A registry that has no such content has denied it. */
export type Right = Exclude<Answer, 'absent'>

/** Asks registries for rights, each question once at a time. */
export class RightQuestions {
  readonly #rights: Pick<PullRights, 'confirm'>
  readonly #now: (() => number) | undefined
  readonly #known: ConfirmedRights
  readonly #asking = new SharedWork<Answer>()
  /** By registry: the settings name those that are asked. */
  readonly #limits = new Map<string, RegistryLimits>()

  constructor(rights: Pick<PullRights, 'confirm'>, now?: () => number) {
    this.#rights = rights
    this.#now = now
    this.#known = new ConfirmedRights(now)
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
    const { address, login, signal } = question
    const asker = { address, hasLogin: login !== undefined, signal }
    const limits = this.#limitsOf(question.repository)
    const { promise } = this.#asking.run(`${right} ${content}`, () =>
      limits.admit(asker, () => this.#decide(question, limits)),
    )
    const answer = await promise
    return answer === 'absent' ? 'denied' : answer
  }

  #limitsOf({ registry }: Repository): RegistryLimits {
    let limits = this.#limits.get(registry)
    if (limits === undefined) {
      limits = new RegistryLimits(this.#now)
      this.#limits.set(registry, limits)
    }
    return limits
  }

  async #decide(question: RightQuestion, limits: RegistryLimits): Promise<Answer> {
    const right = rightOf(question.key, question.repository)
    const content = JSON.stringify(question.content)
    const answer = await this.#ask(question, question.content, limits)
    if (answer === 'confirmed') this.#known.confirm(right, question.content)
    if (answer === 'denied') this.#known.deny(right, content)
    if (answer !== 'absent') return answer
    // A registry says that also to those without a right: what it gave before tells which it is.
    const before = this.#known.contentOf(right)
    if (before === undefined || JSON.stringify(before) === content) {
      this.#known.deny(right, content)
      return 'absent'
    }
    const answerBefore = await this.#ask(question, before, limits)
    if (answerBefore === 'confirmed') {
      this.#known.confirm(right, before)
      return 'confirmed'
    }
    if (answerBefore === 'denied' || answerBefore === 'absent') this.#known.deny(right, content)
    return answerBefore === 'denied' ? 'denied' : 'absent'
  }

  #ask(
    { repository, login, signal: until }: RightQuestion,
    content: WantedContent,
    limits: RegistryLimits,
  ): Promise<Answer> {
    return limits.ask(until, (signal, onPace) =>
      this.#rights.confirm(repository, content, login, { signal, onPace }),
    )
  }
}

function rightOf(key: string, repository: Repository): string {
  return `${key} ${repositoryKey(repository)}`
}
