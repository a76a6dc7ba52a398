import { backoffMs } from '../lib/async/backoff.ts'
import { lastTime, parseCron } from '../lib/time/cron.ts'
import type { CopyRecords } from '../object-store/copy-records.ts'
import type { Reference } from '../oci/names/reference.ts'
import { type BucketCopies, keyOf } from './bucket-copies.ts'
import type { CopySchedule } from './options/copy-options.ts'

/** How long after an image was added it is added again, if it has not been copied; twice as long each time. */
const FIRST_PAUSE_MS = 60_000
const LONGEST_PAUSE_MS = 60 * 60_000

export interface ScheduledCopiesOptions {
  readonly schedule: Pick<CopySchedule, 'everyMs' | 'cron'>
  readonly images: readonly Reference[]
  readonly copies: Pick<BucketCopies, 'has' | 'add' | 'state' | 'report'>
  readonly records: Pick<CopyRecords, 'begunAt'>
  /** Whether this node does the work that belongs to a key. */
  readonly owns: (key: string) => boolean
  readonly now?: () => number
}

interface Tried {
  readonly times: number
  /** The time of the schedule for which it was added. */
  readonly due: number
  /** It is not added again before. */
  readonly againAt: number
}

/** Finds the images of a schedule whose copy is older than the last time of the schedule. */
export class ScheduledCopies {
  readonly #options: ScheduledCopiesOptions
  readonly #lastDue: (now: number) => number | undefined
  /** When the last copies of images began, as the bucket says. */
  readonly #copiedAt = new Map<string, number>()
  /** The images that were added and are not known to be copied. */
  readonly #tried = new Map<string, Tried>()

  constructor(options: ScheduledCopiesOptions) {
    this.#options = options
    this.#lastDue = dueTimes(options.schedule)
  }

  /** Adds what is due, and belongs to this node, to the copies. Reports a failure of the bucket to them. */
  async check(options: { signal: AbortSignal }): Promise<void> {
    const { images, copies, owns, now = Date.now } = this.#options
    const due = this.#lastDue(now())
    if (due === undefined) return
    const { bucket } = copies.state
    let failure: unknown
    for (const reference of images) {
      const key = keyOf(reference)
      const isKnown = (this.#copiedAt.get(key) ?? Number.NEGATIVE_INFINITY) >= due
      // A member that is gone owns nothing, so the next one in the order finds what it has left undone.
      if (isKnown || copies.has(reference) || !owns(`copy ${bucket} ${key}`)) continue
      try {
        await this.#checkImage(reference, due, options)
      } catch (error) {
        options.signal.throwIfAborted()
        failure ??= error
      }
    }
    copies.report('schedule', failure)
  }

  async #checkImage(reference: Reference, due: number, options: { signal: AbortSignal }): Promise<void> {
    const { copies, records, now = Date.now } = this.#options
    const key = keyOf(reference)
    const copiedAt = (await records.begunAt('scheduled', key, options)) ?? Number.NEGATIVE_INFINITY
    this.#copiedAt.set(key, copiedAt)
    if (copiedAt >= (this.#tried.get(key)?.due ?? due)) this.#tried.delete(key)
    if (copiedAt >= due) return
    const { times, againAt } = this.#tried.get(key) ?? { times: 0, againAt: 0 }
    if (now() < againAt || !copies.add(reference, 'schedule')) return
    const pauseMs = backoffMs(times + 1, { firstMs: FIRST_PAUSE_MS, maxMs: LONGEST_PAUSE_MS })
    this.#tried.set(key, { times: times + 1, due, againAt: now() + pauseMs })
  }
}

/** Gives the last time of the schedule that is not after a time. All nodes agree on it. */
function dueTimes({
  everyMs = 0,
  cron,
}: ScheduledCopiesOptions['schedule']): (now: number) => number | undefined {
  const line = cron === undefined ? undefined : parseCron(cron)
  return line === undefined
    ? (now) => (everyMs > 0 ? Math.floor(now / everyMs) * everyMs : undefined)
    : (now) => lastTime(line, now)
}
