import { pause } from '../../lib/async/abort.ts'
import { backoffMs } from '../../lib/async/backoff.ts'
import { Failure } from '../../ports/failure.ts'

const ROUNDS = 3
/** A client waits for this: what takes longer is for its next request. */
const LONGEST_WAIT_MS = 1000
/** After that much time no further round is begun. */
const BUDGET_MS = 8000
const DEADLINE_MS = 20_000

function isWorthARound({ code, details }: Failure): boolean {
  if (code !== 'unavailable' && code !== 'busy') return false
  const wait = details.retryAfterMs
  return code === 'busy' ? wait !== undefined && wait <= LONGEST_WAIT_MS : (wait ?? 0) <= LONGEST_WAIT_MS
}

/**
 * Asks the hosts in order until one has an answer, and all of them again, up to three times, while there is hope. When
 * none has: "cannot be had now" of one host outweighs "does not exist" of another.
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
    if (worst === undefined) throw new Failure('absent', 'no upstream is known for this')
    const hopeful = failures.filter(isWorthARound)
    const spent = performance.now() - started
    if (hopeful.length === 0 || round === ROUNDS || spent > BUDGET_MS) throw worst
    const asked = Math.max(...hopeful.map(({ details }) => details.retryAfterMs ?? 0))
    const ownMs = backoffMs(round, { firstMs, jitter: 1 })
    await pause(Math.max(asked, ownMs), { signal })
  }
}
