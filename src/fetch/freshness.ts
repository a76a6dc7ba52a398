import { unlessAborted } from '../lib/async/abort.ts'
import { SharedWork } from '../lib/async/shared-work.ts'
import { BoundedMap } from '../lib/bounded-map.ts'
import { Failure } from '../ports/failure.ts'
import type { CacheResult } from '../ports/resolver.ts'
import { asFailure } from './flight/attempts/pick-failure.ts'

export interface Freshness {
  readonly tagTtlMs: number
  readonly staleIfErrorMs: number
}

/** The times of a remembered answer, as `TagRecord` describes them. */
export interface AnswerTimes {
  readonly checkedAt: number
  readonly importedAt?: number
}

/** An answer of upstream that may change: how it is remembered, and how upstream is asked again. */
export interface ChangingAnswer<T extends AnswerTimes> {
  /** Answers with the same key are the same answer. */
  readonly key: string
  readonly freshness: Freshness
  load(): Promise<T | undefined>
  /** Asks upstream and remembers the answer. */
  askUpstream(options: { signal: AbortSignal }): Promise<T>
  /** Called when upstream says that there is no such thing. */
  forget(): Promise<void>
}

export interface FreshnessPolicy {
  /** How long upstream may take when there is no stale answer to give instead. */
  readonly timeoutMs: number
  /** How long upstream may take when there is a stale answer. */
  readonly timeoutBeforeStaleMs: number
  /** After upstream has failed, stale answers are given for this long without asking again. */
  readonly pauseAfterFailureMs: number
}

export const DEFAULT_FRESHNESS: FreshnessPolicy = {
  timeoutMs: 25_000,
  timeoutBeforeStaleMs: 5_000,
  pauseAfterFailureMs: 10_000,
}

/**
 * A record from the future is not fresh: the clock was set back, so its age is unknown. Neither is one that an import has
 * made: upstream is asked before it counts as confirmed.
 */
export function isFresh({ checkedAt, importedAt }: AnswerTimes, now: number, freshness: Freshness): boolean {
  const age = now - checkedAt
  return checkedAt !== importedAt && age >= 0 && age < freshness.tagTtlMs
}

/** Whether an answer may still be given when upstream cannot be asked: what was imported for ever, the others for a while. */
function mayServeStale({ checkedAt, importedAt }: AnswerTimes, now: number, freshness: Freshness): boolean {
  return importedAt !== undefined || now - checkedAt < freshness.tagTtlMs + freshness.staleIfErrorMs
}

/** Whether upstream could not be asked. After any other failure it has answered, so an older answer is wrong. */
function isUpstreamDown(failure: Failure): boolean {
  return failure.code === 'unavailable' || failure.code === 'stalled' || failure.code === 'busy'
}

/** Whether upstream says nothing about the content. An import may name an image that no registry has, or that is private. */
function isUnknownUpstream(failure: Failure): boolean {
  return failure.code === 'absent' || failure.code === 'denied' || failure.code === 'unlisted'
}

const MAX_FAILED_KEYS = 10_000

/**
 * Gives a remembered answer while it is fresh. Asks upstream after that, once for all who wait, and gives the stale
 * answer if upstream fails.
 */
export class Revalidation {
  readonly #policy: FreshnessPolicy
  readonly #requests = new SharedWork<{
    readonly value: AnswerTimes
    readonly cacheResult: CacheResult
  }>()
  /** The keys of answers for which upstream has just failed. */
  readonly #failedKeys: BoundedMap<string, true>

  constructor(policy: FreshnessPolicy) {
    this.#policy = policy
    this.#failedKeys = new BoundedMap(MAX_FAILED_KEYS, { ttlMs: policy.pauseAfterFailureMs })
  }

  async get<T extends AnswerTimes>(
    answer: ChangingAnswer<T>,
    options: { signal: AbortSignal },
  ): Promise<{ readonly value: T; readonly cacheResult: CacheResult }> {
    const known = await answer.load()
    if (known !== undefined) {
      if (isFresh(known, Date.now(), answer.freshness)) return { value: known, cacheResult: { kind: 'hit' } }
      if (this.#mayStayStale(answer, known)) return { value: known, cacheResult: { kind: 'stale-if-error' } }
    }
    const { promise, joined } = this.#requests.run(answer.key, () => this.#renew(answer, known))
    const { value, cacheResult } = await unlessAborted(promise, options.signal)
    // All answers with one key have the same type.
    return {
      value: value as T,
      cacheResult: cacheResult.kind === 'miss' ? { ...cacheResult, collapsed: joined } : cacheResult,
    }
  }

  #mayStayStale<T extends AnswerTimes>(answer: ChangingAnswer<T>, known: T): boolean {
    return this.#failedKeys.has(answer.key) && mayServeStale(known, Date.now(), answer.freshness)
  }

  async #renew<T extends AnswerTimes>(
    answer: ChangingAnswer<T>,
    known: T | undefined,
  ): Promise<{ readonly value: T; readonly cacheResult: CacheResult }> {
    const isStaleUsable = known !== undefined && mayServeStale(known, Date.now(), answer.freshness)
    const timeoutMs = isStaleUsable ? this.#policy.timeoutBeforeStaleMs : this.#policy.timeoutMs
    const timeout = new AbortController()
    const timer = setTimeout(() => {
      const message = `Upstream has not answered within ${timeoutMs / 1000} s.`
      timeout.abort(new Failure('stalled', message))
    }, timeoutMs)
    const { signal } = timeout
    try {
      const value = await unlessAborted(answer.askUpstream({ signal }), signal)
      this.#failedKeys.delete(answer.key)
      const cacheResult: CacheResult =
        known === undefined ? { kind: 'miss', from: 'upstream', collapsed: false } : { kind: 'revalidated' }
      return { value, cacheResult }
    } catch (thrown) {
      const failure = asFailure(thrown, 'upstream')
      const isImported = known?.importedAt !== undefined
      if (failure.code === 'absent' && !isImported) await answer.forget()
      const isUsable = isUpstreamDown(failure) || (isImported && isUnknownUpstream(failure))
      if (!isUsable || known === undefined || !isStaleUsable) throw failure
      this.#failedKeys.set(answer.key, true)
      return { value: known, cacheResult: { kind: 'stale-if-error' } }
    } finally {
      clearTimeout(timer)
    }
  }
}
