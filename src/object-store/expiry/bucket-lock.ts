import { randomUUID } from 'node:crypto'
import { Failure } from '../../ports/failure.ts'
import type { Bucket } from '../client/bucket.ts'
import { sha256Of } from '../upload/part-hashes.ts'

/** Outside of the layout, so that no registry sees it. */
const LOCK_KEY = 'leat/expiry-lock'
/** The text of a lock that nobody holds, and that could not be removed. */
const RELEASED = 'released'
const RELEASE_DEADLINE_MS = 30_000
/** Whoever holds the lock says so again after this time, before it reads or removes anything else. */
const RENEW_MS = 5 * 60_000
/** Nobody holds a lock that is older. One request takes a minute at most, so it is far longer than `RENEW_MS`. */
const STALE_MS = 15 * 60_000

type Options = { readonly signal: AbortSignal }

/** For work that goes on only while a lock is held. */
export interface HeldOptions extends Options {
  /** Called before each step. Rejects when another process has the lock. */
  hold(): Promise<void>
}

/** An object by which one process at a time removes content from a bucket. */
export class BucketLock {
  readonly #bucket: Bucket
  readonly #owner = randomUUID()
  readonly #renewMs: number
  #renewedAt = 0

  constructor(bucket: Bucket, renewMs = RENEW_MS) {
    this.#bucket = bucket
    this.#renewMs = renewMs
  }

  /** Rejects with a `Failure` while another process holds the lock. `now`: the time of the server. */
  async take(now: number, options: Options): Promise<void> {
    const held = await this.#bucket.read(LOCK_KEY, options)
    const isHeld = held !== undefined && held.text !== RELEASED
    if (isHeld && now - held.modifiedAt < STALE_MS) throw this.#taken(held.modifiedAt)
    await this.#write(held !== undefined, options)
  }

  /** Says again that this process holds the lock, if it has not done so for a while. */
  async renew(options: Options): Promise<void> {
    if (performance.now() - this.#renewedAt < this.#renewMs) return
    await this.#assertOwn(options)
    await this.#write(true, options)
  }

  /** Lets other processes take the lock, also when the work was aborted or nothing can be deleted. */
  async release(): Promise<void> {
    const options = { signal: AbortSignal.timeout(RELEASE_DEADLINE_MS) }
    await this.#assertOwn(options)
    try {
      await this.#bucket.delete([LOCK_KEY], options)
    } catch (error) {
      // The next run is to say again what is wrong, and not that this one still runs.
      const body = Buffer.from(RELEASED)
      await this.#bucket.put(LOCK_KEY, body, { sha256: await sha256Of(body), replace: true, ...options })
      throw error
    }
  }

  async #write(replace: boolean, { signal }: Options): Promise<void> {
    const startedAt = performance.now()
    const body = Buffer.from(this.#owner)
    await this.#bucket.put(LOCK_KEY, body, { sha256: await sha256Of(body), replace, signal })
    // Two may have written at the same time: the last one holds it.
    await this.#assertOwn({ signal })
    this.#renewedAt = startedAt
  }

  async #assertOwn(options: Options): Promise<void> {
    const held = await this.#bucket.read(LOCK_KEY, options)
    if (held?.text !== this.#owner) throw this.#taken(held?.modifiedAt ?? Date.now())
  }

  #taken(since: number): Failure {
    const { name } = this.#bucket
    const message = `Another process has been collecting the garbage of ${name} since ${new Date(since).toISOString()}. Wait until it is done.`
    return new Failure('busy', message, { source: name })
  }
}
