import { pause } from '../../lib/async/abort.ts'
import { backoffMs } from '../../lib/async/backoff.ts'
import { Failure } from '../../ports/failure.ts'

const ROUNDS = 3
/** The longest wait before another round, because a client is waiting. A longer wait is left to its next request. */
const LONGEST_WAIT_MS = 1000
/** No round begins after this time. */
const LAST_ROUND_MS = 8000
/** All rounds together end at this deadline. */
const DEADLINE_MS = 20_000

function isRetryable({ code, details }: Failure): boolean {
  if (code !== 'unavailable' && code !== 'busy') return false
  const waitMs = details.retryAfterMs
  return code === 'busy'
    ? waitMs !== undefined && waitMs <= LONGEST_WAIT_MS
    : (waitMs ?? 0) <= LONGEST_WAIT_MS
}

/**
 * Asks the hosts in order until one answers, in up to three rounds while a failure is retryable. When no host answers, a
 * failure of any other code wins over "absent": another host may have the content.
 */
export async function askInRounds<Host, Answer>(
  hosts: readonly Host[],
  ask: (host: Host, options: { signal: AbortSignal }) => Promise<Answer>,
  { signal: outer, backoffMs: firstMs }: { signal: AbortSignal; backoffMs: number },
): Promise<Answer> {
  const deadline = AbortSignal.timeout(DEADLINE_MS)
  const signal = AbortSignal.any([outer, deadline])
  const started = performance.now()
  for (let round = 1; ; round += 1) {
    const failures: Failure[] = []
    for (const host of hosts) {
      try {
        return await ask(host, { signal })
      } catch (error) {
        outer.throwIfAborted()
        if (deadline.aborted)
          throw new Failure('unavailable', `no answer within ${DEADLINE_MS} ms`, { cause: error })
        if (!(error instanceof Failure)) throw error
        failures.push(error)
      }
    }
    const worst = failures.find(({ code }) => code !== 'absent') ?? failures[0]
    if (worst === undefined) throw new Failure('absent', 'the registry has no host to ask')
    const retryable = failures.filter(isRetryable)
    const spentMs = performance.now() - started
    if (retryable.length === 0 || round === ROUNDS || spentMs > LAST_ROUND_MS) throw worst
    const askedMs = Math.max(...retryable.map(({ details }) => details.retryAfterMs ?? 0))
    const ownMs = backoffMs(round, { firstMs, jitter: 1 })
    await pause(Math.max(askedMs, ownMs), { signal })
  }
}
