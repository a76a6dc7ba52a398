import { backoffMs } from '../../../lib/async/backoff.ts'
import type { Failure } from '../../../ports/failure.ts'
import type { Source } from '../../../ports/source.ts'
import { isTransient } from './pick-failure.ts'

export interface SourceQueuePolicy {
  /** How many attempts of one source in a row may bring less than `progressBytes`. */
  readonly attemptsPerSource: number
  /** An attempt that brings this much counts as progress. */
  readonly progressBytes: number
  /** The pause before a source is asked again; it grows with each attempt without progress. */
  readonly retryPauseMs: number
}

/** However many sources send wrong bytes, a flight begins at byte 0 only so often. */
const MAX_BEGINNINGS = 4

/** The sources of a flight in the order in which they are asked, and how often each has brought no progress. */
export class SourceQueue {
  readonly #policy: SourceQueuePolicy
  #sources: readonly Source[]
  readonly #failedAttempts = new Map<Source, number>()
  #beginnings = 1

  constructor(sources: readonly Source[], policy: SourceQueuePolicy) {
    this.#sources = sources
    this.#policy = policy
  }

  /** The source to ask now; undefined when none is left. */
  get first(): Source | undefined {
    return this.#sources[0]
  }

  /** How long to wait before the first source is asked; undefined when it has not failed. */
  get pauseMs(): number | undefined {
    const failed = this.#failures(this.first)
    if (failed === 0) return undefined
    return backoffMs(failed, { firstMs: this.#policy.retryPauseMs, jitter: 1 })
  }

  /** Gives all sources all their attempts again. */
  forgetAttempts(): void {
    this.#failedAttempts.clear()
  }

  /**
   * Says how many bytes the last attempt has brought. Gives whether that counts as progress; then all sources have all
   * their attempts again.
   */
  countProgress(bytes: number): boolean {
    const isProgress = bytes >= this.#policy.progressBytes
    if (isProgress) this.forgetAttempts()
    return isProgress
  }

  countFailure(source: Source): void {
    this.#failedAttempts.set(source, this.#failures(source) + 1)
  }

  /** A source that may recover is asked again after the others; any other one is not. */
  moveBack(source: Source, failure: Failure): void {
    const others = this.#without(source)
    this.#sources = isTransient(failure) && !this.#hasFailedTooOften(source) ? [...others, source] : others
  }

  moveToFront(source: Source): void {
    this.#sources = [source, ...this.#without(source)]
  }

  drop(source: Source | undefined): void {
    this.#sources = this.#without(source)
  }

  dropIf(isDropped: (source: Source) => boolean): void {
    this.#sources = this.#sources.filter((source) => !isDropped(source))
  }

  dropIfFailedTooOften(source: Source): void {
    if (this.#hasFailedTooOften(source)) this.drop(source)
  }

  /** Counts a beginning at byte 0. Gives false when there were too many. */
  beginAgain(): boolean {
    if (this.#beginnings === MAX_BEGINNINGS) return false
    this.#beginnings += 1
    if (this.#beginnings === MAX_BEGINNINGS) {
      // Many peers may send wrong bytes, one after another, so the last beginning is upstream's if there is an upstream.
      const upstream = this.#sources.filter(({ kind }) => kind === 'upstream')
      if (upstream.length > 0) this.#sources = upstream
    }
    return true
  }

  #hasFailedTooOften(source: Source): boolean {
    return this.#failures(source) >= this.#policy.attemptsPerSource
  }

  #failures(source: Source | undefined): number {
    return source === undefined ? 0 : (this.#failedAttempts.get(source) ?? 0)
  }

  #without(source: Source | undefined): readonly Source[] {
    return this.#sources.filter((other) => other !== source)
  }
}
