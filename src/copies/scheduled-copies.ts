import { lastTime, parseCron } from '../lib/time/cron.ts'
import type { CopyRecords } from '../object-store/copy-records.ts'
import type { Reference } from '../oci/names/reference.ts'
import { type BucketCopies, keyOf } from './bucket-copies.ts'
import type { CopySchedule } from './options/copy-options.ts'

export interface ScheduledCopiesOptions {
  readonly schedule: Pick<CopySchedule, 'everyMs' | 'cron'>
  readonly images: readonly Reference[]
  readonly copies: Pick<BucketCopies, 'has' | 'add' | 'state' | 'report'>
  readonly records: Pick<CopyRecords, 'writtenAt'>
  /** Whether this node does the work that belongs to a key. */
  readonly owns: (key: string) => boolean
  readonly now?: () => number
}

/** Finds the images of a schedule whose copy is older than the last time of the schedule. */
export class ScheduledCopies {
  readonly #options: ScheduledCopiesOptions
  readonly #lastDue: (now: number) => number | undefined
  /** When images were copied last, as the bucket says. */
  readonly #copiedAt = new Map<string, number>()

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
    const { copies, records } = this.#options
    const key = keyOf(reference)
    const copiedAt = await records.writtenAt('scheduled', key, options)
    if (copiedAt !== undefined) this.#copiedAt.set(key, copiedAt)
    if (copiedAt === undefined || copiedAt < due) copies.add(reference, 'schedule')
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
