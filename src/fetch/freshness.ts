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

/** Something that may change upstream: what is remembered of it, and how to hear of it anew. */
export interface ChangingAnswer<T extends { readonly checkedAt: number }> {
  readonly key: string
  readonly freshness: Freshness
  load(): Promise<T | undefined>
  /** Asks upstream and remembers the answer. */
  askUpstream(options: { signal: AbortSignal }): Promise<T>
  /** Upstream says that it does not exist. */
  forget(): Promise<void>
}

export interface FreshnessPolicy {
  /** How long upstream may take when there is nothing older to serve instead. */
  readonly timeoutMs: number
  /** How long it may take when there is. */
  readonly timeoutBeforeStaleMs: number
  /** After upstream has failed, so long what is known is served without asking. */
  readonly pauseAfterFailureMs: number
}

export const DEFAULT_FRESHNESS: FreshnessPolicy = {
  timeoutMs: 25_000,
  timeoutBeforeStaleMs: 5_000,
  pauseAfterFailureMs: 10_000,
}

/** A record from the future (the clock was set back) is not fresh: nobody knows how old it is. */
export function isFresh(checkedAt: number, now: number, freshness: Freshness): boolean {
  const age = now - checkedAt
  return age >= 0 && age < freshness.tagTtlMs
}

/** Whether what was known still serves when upstream cannot be asked. */
function mayServeStale(checkedAt: number, now: number, freshness: Freshness): boolean {
  return now - checkedAt < freshness.tagTtlMs + freshness.staleIfErrorMs
}

/** Upstream could not be asked; after any other failure it has answered, and the old answer is a wrong one. */
function isUpstreamDown(failure: Failure): boolean {
  return failure.code === 'unavailable' || failure.code === 'stalled' || failure.code === 'busy'
}

const MAX_FAILED_KEYS = 10_000

/** Answers from memory while that is fresh, asks upstream when it is not, once for all who wait, and lives through its absence. */
export class Revalidation {
  readonly #policy: FreshnessPolicy
  readonly #requests = new SharedWork<{
    readonly value: { readonly checkedAt: number }
    readonly cacheResult: CacheResult
  }>()
  /** What upstream has failed to tell. */
  readonly #failedKeys: BoundedMap<string, true>

  constructor(policy: FreshnessPolicy) {
    this.#policy = policy
    this.#failedKeys = new BoundedMap(MAX_FAILED_KEYS, { ttlMs: policy.pauseAfterFailureMs })
  }

  async get<T extends { readonly checkedAt: number }>(
    changeable: ChangingAnswer<T>,
    options: { signal: AbortSignal },
  ): Promise<{ readonly value: T; readonly cacheResult: CacheResult }> {
    const known = await changeable.load()
    if (known !== undefined) {
      if (isFresh(known.checkedAt, Date.now(), changeable.freshness))
        return { value: known, cacheResult: { kind: 'hit' } }
      if (this.#isPausedAndUsable(changeable, known))
        return { value: known, cacheResult: { kind: 'stale-if-error' } }
    }
    const { promise, joined } = this.#requests.run(changeable.key, () => this.#renew(changeable, known))
    const { value, cacheResult } = await unlessAborted(promise, options.signal)
    // Under one key there is one kind of changeable.
    return {
      value: value as T,
      cacheResult: cacheResult.kind === 'miss' ? { ...cacheResult, collapsed: joined } : cacheResult,
    }
  }

  #isPausedAndUsable<T extends { readonly checkedAt: number }>(
    changeable: ChangingAnswer<T>,
    known: T,
  ): boolean {
    return (
      this.#failedKeys.has(changeable.key) && mayServeStale(known.checkedAt, Date.now(), changeable.freshness)
    )
  }

  async #renew<T extends { readonly checkedAt: number }>(
    changeable: ChangingAnswer<T>,
    known: T | undefined,
  ): Promise<{ readonly value: T; readonly cacheResult: CacheResult }> {
    const outlives = known !== undefined && mayServeStale(known.checkedAt, Date.now(), changeable.freshness)
    const patienceMs = outlives ? this.#policy.timeoutBeforeStaleMs : this.#policy.timeoutMs
    const patience = new AbortController()
    const timer = setTimeout(() => {
      const message = `Upstream has not answered within ${patienceMs / 1000} s.`
      patience.abort(new Failure('stalled', message))
    }, patienceMs)
    const { signal } = patience
    try {
      const value = await unlessAborted(changeable.askUpstream({ signal }), signal)
      this.#failedKeys.delete(changeable.key)
      const cacheResult: CacheResult =
        known === undefined ? { kind: 'miss', from: 'upstream', collapsed: false } : { kind: 'revalidated' }
      return { value, cacheResult }
    } catch (thrown) {
      const failure = asFailure(thrown, 'upstream')
      if (failure.code === 'absent') await changeable.forget()
      if (!isUpstreamDown(failure) || known === undefined || !outlives) throw failure
      this.#failedKeys.set(changeable.key, true)
      return { value: known, cacheResult: { kind: 'stale-if-error' } }
    } finally {
      clearTimeout(timer)
    }
  }
}
