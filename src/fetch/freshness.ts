import { unlessAborted } from '../lib/async/abort.ts'
import { SharedWork } from '../lib/async/shared-work.ts'
import { BoundedMap } from '../lib/bounded-map.ts'
import { Failure } from '../ports/failure.ts'
import type { CacheResult } from '../ports/resolver.ts'
import { asFailure } from './flight/pick-failure.ts'

export interface Freshness {
  readonly tagTtlMs: number
  readonly staleIfErrorMs: number
}

/** Something that may change upstream: what is remembered of it, and how to hear of it anew. */
export interface Changeable<T extends { readonly checkedAt: number }> {
  readonly key: string
  readonly freshness: Freshness
  recall(): Promise<T | undefined>
  /** Asks upstream and remembers the answer. */
  renew(options: { signal: AbortSignal }): Promise<T>
  /** Upstream says that it does not exist. */
  forget(): Promise<void>
}

export interface FreshnessPolicy {
  /** How long upstream may take when there is nothing older to serve instead. */
  readonly patienceMs: number
  /** How long it may take when there is. */
  readonly staleAfterMs: number
  /** After upstream has failed, so long what is known is served without asking. */
  readonly respiteMs: number
}

export const DEFAULT_FRESHNESS: FreshnessPolicy = {
  patienceMs: 25_000,
  staleAfterMs: 5_000,
  respiteMs: 10_000,
}

/** A record from the future (the clock was set back) is not fresh: nobody knows how old it is. */
export function isFresh(checkedAt: number, now: number, freshness: Freshness): boolean {
  const age = now - checkedAt
  return age >= 0 && age < freshness.tagTtlMs
}

/** Whether what was known still serves when upstream cannot be asked. */
function mayOutlive(checkedAt: number, now: number, freshness: Freshness): boolean {
  return now - checkedAt < freshness.tagTtlMs + freshness.staleIfErrorMs
}

/** Upstream could not be asked; after any other failure it has answered, and the old answer is a wrong one. */
function isAway(failure: Failure): boolean {
  return failure.code === 'unavailable' || failure.code === 'stalled' || failure.code === 'busy'
}

const MOST_AWAY = 10_000

/** Answers from memory while that is fresh, asks upstream when it is not, once for all who wait, and lives through its absence. */
export class Revalidation {
  readonly #policy: FreshnessPolicy
  readonly #asking = new SharedWork<{
    readonly value: { readonly checkedAt: number }
    readonly cacheResult: CacheResult
  }>()
  /** What upstream has failed to tell. */
  readonly #away: BoundedMap<string, true>

  constructor(policy: FreshnessPolicy) {
    this.#policy = policy
    this.#away = new BoundedMap(MOST_AWAY, { ageMs: policy.respiteMs })
  }

  async get<T extends { readonly checkedAt: number }>(
    changeable: Changeable<T>,
    options: { signal: AbortSignal },
  ): Promise<{ readonly value: T; readonly cacheResult: CacheResult }> {
    const known = await changeable.recall()
    if (known !== undefined) {
      if (isFresh(known.checkedAt, Date.now(), changeable.freshness))
        return { value: known, cacheResult: { kind: 'hit' } }
      if (this.#inRespite(changeable, known)) return { value: known, cacheResult: { kind: 'stale-if-error' } }
    }
    const { promise, joined } = this.#asking.run(changeable.key, () => this.#renew(changeable, known))
    const { value, cacheResult } = await unlessAborted(promise, options.signal)
    // Under one key there is one kind of changeable.
    return {
      value: value as T,
      cacheResult: cacheResult.kind === 'miss' ? { ...cacheResult, collapsed: joined } : cacheResult,
    }
  }

  #inRespite<T extends { readonly checkedAt: number }>(changeable: Changeable<T>, known: T): boolean {
    return this.#away.has(changeable.key) && mayOutlive(known.checkedAt, Date.now(), changeable.freshness)
  }

  async #renew<T extends { readonly checkedAt: number }>(
    changeable: Changeable<T>,
    known: T | undefined,
  ): Promise<{ readonly value: T; readonly cacheResult: CacheResult }> {
    const outlives = known !== undefined && mayOutlive(known.checkedAt, Date.now(), changeable.freshness)
    const patienceMs = outlives ? this.#policy.staleAfterMs : this.#policy.patienceMs
    const patience = new AbortController()
    const timer = setTimeout(() => {
      const message = `Upstream has not answered within ${patienceMs / 1000} s.`
      patience.abort(new Failure('stalled', message))
    }, patienceMs)
    const { signal } = patience
    try {
      const value = await unlessAborted(changeable.renew({ signal }), signal)
      this.#away.delete(changeable.key)
      const cacheResult: CacheResult =
        known === undefined ? { kind: 'miss', from: 'upstream', collapsed: false } : { kind: 'revalidated' }
      return { value, cacheResult }
    } catch (thrown) {
      const failure = asFailure(thrown, 'upstream')
      if (failure.code === 'absent') await changeable.forget()
      if (!isAway(failure) || known === undefined || !outlives) throw failure
      this.#away.set(changeable.key, true)
      return { value: known, cacheResult: { kind: 'stale-if-error' } }
    } finally {
      clearTimeout(timer)
    }
  }
}
