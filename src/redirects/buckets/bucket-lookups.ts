import { SharedWork } from '../../lib/async/shared-work.ts'
import { BoundedMap } from '../../lib/bounded-map.ts'
import { publish } from '../../observe/events.ts'
import type { Digest } from '../../oci/digest.ts'
import { type Repository, repositoryKey } from '../../oci/names/repository.ts'
import type { RedirectBucket } from './redirect-bucket.ts'

export interface LookupPolicy {
  readonly mostRemembered: number
  /** How long a blob that was found is not asked for again. */
  readonly foundMs: number
  /** How long a blob that was not found is not asked for again. */
  readonly missingMs: number
  /** How long a bucket that has failed is not asked. */
  readonly pauseMs: number
  /** How many blobs are asked for at once. For others the answer is no meanwhile. */
  readonly mostAtOnce: number
  /** How long one question may take. */
  readonly deadlineMs: number
}

export const LOOKUP_POLICY: LookupPolicy = {
  mostRemembered: 65_536,
  foundMs: 3_600_000,
  missingMs: 30_000,
  pauseMs: 10_000,
  mostAtOnce: 64,
  deadlineMs: 2000,
}

/** Knows which blobs a bucket has, and gives their URLs. Clients never wait for it longer than the policy says. */
export class BucketLookups {
  readonly name: string
  readonly #bucket: Pick<RedirectBucket, 'open' | 'has' | 'url' | 'close'>
  readonly #policy: LookupPolicy
  readonly #found: BoundedMap<string, true>
  readonly #missing: BoundedMap<string, true>
  readonly #underWay = new SharedWork<boolean>()
  readonly #closing = new AbortController()
  #pausedUntil = Number.NEGATIVE_INFINITY

  constructor(
    name: string,
    bucket: Pick<RedirectBucket, 'open' | 'has' | 'url' | 'close'>,
    policy: LookupPolicy = LOOKUP_POLICY,
  ) {
    this.name = name
    this.#bucket = bucket
    this.#policy = policy
    this.#found = new BoundedMap(policy.mostRemembered, { ttlMs: policy.foundMs })
    this.#missing = new BoundedMap(policy.mostRemembered, { ttlMs: policy.missingMs })
  }

  /** Gives the URL of a blob that the bucket surely has; undefined when it has none, or cannot be asked now. */
  async locate(repository: Repository, digest: Digest, method: 'GET' | 'HEAD'): Promise<string | undefined> {
    try {
      if (!(await this.#has(repository, digest))) return undefined
      return await this.#bucket.url(digest, method, { signal: this.#within() })
    } catch (error) {
      this.#onFailed(error)
      return undefined
    }
  }

  /** Rejects with a `FileProblem` if a file of the bucket's settings cannot be used. */
  open(): Promise<void> {
    return this.#bucket.open()
  }

  async close(): Promise<void> {
    this.#closing.abort(new Error('the agent is stopping'))
    await this.#bucket.close()
  }

  async #has(repository: Repository, digest: Digest): Promise<boolean> {
    const key = `${repositoryKey(repository)} ${digest}`
    if (this.#found.has(key)) return true
    if (this.#missing.has(key) || performance.now() < this.#pausedUntil) return false
    if (!this.#underWay.has(key) && this.#underWay.size >= this.#policy.mostAtOnce) return false
    return this.#underWay.run(key, () => this.#ask(key, repository, digest)).promise
  }

  async #ask(key: string, repository: Repository, digest: Digest): Promise<boolean> {
    const has = await this.#bucket.has(repository, digest, { signal: this.#within() })
    if (has) this.#found.set(key, true)
    else this.#missing.set(key, true)
    publish('redirect.looked-up', {
      bucket: this.name,
      outcome: has ? 'found' : 'missing',
      problem: undefined,
    })
    return has
  }

  /** Only the first failure is told: all that were under way fail for the same reason. */
  #onFailed(error: unknown): void {
    if (this.#closing.signal.aborted || performance.now() < this.#pausedUntil) return
    this.#pausedUntil = performance.now() + this.#policy.pauseMs
    const problem = error instanceof Error ? error.message : String(error)
    publish('redirect.looked-up', { bucket: this.name, outcome: 'failed', problem })
  }

  #within(): AbortSignal {
    return AbortSignal.any([this.#closing.signal, AbortSignal.timeout(this.#policy.deadlineMs)])
  }
}
