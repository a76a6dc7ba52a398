import { backoffMs } from '../../lib/async/backoff.ts'
import { BoundedMap } from '../../lib/bounded-map.ts'
import { Failure } from '../../ports/failure.ts'

interface FailedSave {
  readonly reference: string
  /** How often in a row. */
  readonly times: number
  readonly failure: Failure
  readonly retryAt: number
}

const MAX_IMAGES = 1_000
/** The longest pause is five minutes. */
const PAUSE = { firstMs: 1_000, maxMs: 5 * 60_000 }
/** A failure that nobody has repeated for so long says nothing about the next save. */
const FORGET_MS = 15 * 60_000

/**
 * Images that could not be saved. A save keeps the daemon and the disk busy for long, so after a failure none is begun before
 * a pause is over, which is twice as long after each failure in a row.
 */
export class FailedSaves {
  readonly #now: () => number
  /** By the id of the image. */
  readonly #failed: BoundedMap<string, FailedSave>

  /** `now`: the time in milliseconds. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now
    this.#failed = new BoundedMap(MAX_IMAGES, { ttlMs: FORGET_MS, now })
  }

  /** Rejects a request within the pause, with the reason of the last failure. */
  check(id: string): void {
    const failed = this.#failed.get(id)
    if (failed === undefined) return
    const leftMs = failed.retryAt - this.#now()
    if (leftMs <= 0) return
    const { source } = failed.failure.details
    const message = `${sentence(failed)} The next request is taken in ${Math.ceil(leftMs / 1000)} s.`
    throw new Failure('busy', message, {
      cause: failed.failure,
      retryAfterMs: leftMs,
      ...(source === undefined ? {} : { source }),
    })
  }

  add(id: string, reference: string, failure: Failure): void {
    const times = (this.#failed.get(id)?.times ?? 0) + 1
    this.#failed.set(id, { reference, times, failure, retryAt: this.#now() + backoffMs(times, PAUSE) })
  }

  remove(id: string): void {
    this.#failed.delete(id)
  }

  /** A sentence about the last image that could not be saved; undefined: there is none. */
  problem(): string | undefined {
    const last = [...this.#failed.values()].at(-1)
    return last && sentence(last)
  }
}

function sentence({ reference, times, failure }: FailedSave): string {
  const often = times === 1 ? '' : ` ${times} times in a row`
  return `${reference} could not be saved${often}: ${failure.message.replace(/\.$/, '')}.`
}
