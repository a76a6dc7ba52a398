import { unlessAborted } from '../../lib/async/abort.ts'
import { Deferred } from '../../lib/async/deferred.ts'
import { Failure } from '../../ports/failure.ts'

export interface UpstreamFirstLimits {
  /** A client waits for the answer: upstream alone is asked for so long. */
  readonly upstreamAloneMs: number
  /** How long the bucket may take. */
  readonly bucketMs: number
  /** How long upstream may still take after the bucket has answered. */
  readonly lateMs: number
}

export interface UpstreamFirstRequest<Answer> {
  readonly askUpstream: (signal: AbortSignal) => Promise<Answer>
  /** Gives undefined when the bucket does not know the answer. */
  readonly askBucket: (signal: AbortSignal) => Promise<Answer | undefined>
  /** Called with what upstream has answered after the bucket; undefined: upstream has refused. Without it upstream is left. */
  readonly onLate?: (answer: Answer | undefined) => void
  readonly limits: UpstreamFirstLimits
  readonly signal: AbortSignal
}

/**
 * Gives upstream's answer. If upstream cannot be asked, or has not answered for a while, the bucket is asked, too, and the
 * first answer counts; what the bucket does not know, or cannot say in time, is left to upstream.
 */
export async function upstreamFirst<Answer>(request: UpstreamFirstRequest<Answer>): Promise<Answer> {
  const { askUpstream, askBucket, onLate, limits, signal } = request
  const upstreamEnd = new AbortController()
  const bucketEnd = new AbortController()
  const upstream = askUpstream(AbortSignal.any([signal, upstreamEnd.signal]))
  /** Whether upstream has answered, and be it by a refusal. */
  const hasAnswered = upstream.then(
    () => true,
    (error: unknown) => !isUnreachable(error),
  )
  const isSlow = new Deferred<false>()
  const timers = [setTimeout(() => isSlow.resolve(false), limits.upstreamAloneMs)]
  let isLate = false
  try {
    if (await Promise.race([hasAnswered, isSlow.promise])) return await upstream
    signal.throwIfAborted()
    timers.push(setTimeout(() => bucketEnd.abort(tooSlow('The bucket', limits.bucketMs)), limits.bucketMs))
    const within = AbortSignal.any([signal, bucketEnd.signal])
    const bucket = unlessAborted(askBucket(within), within).catch(() => undefined)
    const found = await Promise.race([hasAnswered.then((is) => (is ? undefined : bucket)), bucket])
    if (found === undefined) return await upstream
    isLate = onLate !== undefined
    return found
  } finally {
    for (const timer of timers) clearTimeout(timer)
    const notNeeded = new Failure('stopping', 'The answer is not needed any more.')
    bucketEnd.abort(notNeeded)
    if (isLate && onLate !== undefined) awaitLate(upstream, { onLate, upstreamEnd, signal, limits })
    else upstreamEnd.abort(notNeeded)
  }
}

function awaitLate<Answer>(
  upstream: Promise<Answer>,
  {
    onLate,
    upstreamEnd,
    signal,
    limits: { lateMs },
  }: {
    readonly onLate: (answer: Answer | undefined) => void
    readonly upstreamEnd: AbortController
    readonly signal: AbortSignal
    readonly limits: UpstreamFirstLimits
  },
): void {
  const timer = setTimeout(() => upstreamEnd.abort(tooSlow('Upstream', lateMs)), lateMs).unref()
  upstream
    .then(onLate, (error: unknown) => {
      // A request that was given up says nothing of what upstream has.
      if (!isUnreachable(error) && !signal.aborted) onLate(undefined)
    })
    .finally(() => clearTimeout(timer))
}

function tooSlow(who: string, ms: number): Failure {
  return new Failure('stalled', `${who} has not answered within ${ms / 1000} s.`)
}

function isUnreachable(error: unknown): boolean {
  return error instanceof Failure && ['unavailable', 'stalled', 'busy'].includes(error.code)
}
