import { BoundedMap } from '../../lib/bounded-map.ts'
import { repositoryKey } from '../../oci/names/repository.ts'
import { Failure } from '../../ports/failure.ts'
import type { HostedBucket, HostedContent } from '../../ports/hosted/hosted-bucket.ts'

/** A content that was removed on another node is served for no longer than this. */
const CHECKED_MS = 60_000
const MOST_CHECKED = 10_000

/** Which contents hosted repositories have, as the bucket has said lately. */
export class CheckedContents {
  readonly #bucket: Pick<HostedBucket, 'presence'>
  readonly #checked: BoundedMap<string, true>
  /** Grows with each removal, so that an answer from before it is not remembered. */
  #removals = 0

  constructor(bucket: Pick<HostedBucket, 'presence'>, { ttlMs = CHECKED_MS }: { ttlMs?: number } = {}) {
    this.#bucket = bucket
    this.#checked = new BoundedMap(MOST_CHECKED, { ttlMs })
  }

  /** Says that the bucket has the content now. */
  add(content: HostedContent): void {
    this.#checked.set(keyOf(content), true)
  }

  /** Says that the content was removed. */
  remove(content: HostedContent): void {
    this.#removals += 1
    this.#checked.delete(keyOf(content))
  }

  /**
   * Throws `absent` if the bucket says that the repository does not have the content. While the bucket cannot be asked, what this
   * node knows counts, and the next resolver says what that is. Requests do not share an answer: it could be older than a push that
   * was answered before the request.
   */
  async check(content: HostedContent, options: { signal: AbortSignal }): Promise<void> {
    if (this.#checked.has(keyOf(content))) return
    const removals = this.#removals
    try {
      if ((await this.#bucket.presence(content, options)) !== 'absent') {
        if (removals === this.#removals) this.add(content)
        return
      }
    } catch (error) {
      if (options.signal.aborted || !isBucketAway(error)) throw error
      return
    }
    throw new Failure('absent', `${repositoryKey(content.repository)} does not have ${content.digest}`)
  }
}

/** Whether the bucket could not be asked. After any other failure it has answered. */
export function isBucketAway(error: unknown): error is Failure {
  return error instanceof Failure && ['unavailable', 'stalled', 'busy', 'denied'].includes(error.code)
}

function keyOf({ repository, kind, digest }: HostedContent): string {
  return `${kind} ${repositoryKey(repository)} ${digest}`
}
