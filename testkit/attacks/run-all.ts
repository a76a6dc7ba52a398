import type { AttackReport, AttackTarget, HoldOptions } from './attack.ts'
import { ATTACKS } from './attacks.ts'

/** How many attacks run at once. */
const CONCURRENCY = 8
const MAX_ROUNDS = 1000
const EACH_HOLD_MS = 1000

/** Runs all attacks again and again, several at once, for `holdMs`. Returns how often each was run. */
export async function runAllAttacks(
  target: AttackTarget,
  { signal, onEstablished, holdMs = 10_000 }: HoldOptions,
): Promise<AttackReport> {
  const end = new AbortController()
  const abort = (): void => end.abort()
  const timer = setTimeout(abort, holdMs)
  signal.addEventListener('abort', abort)
  const ended = end.signal
  const attacks = [...ATTACKS]
  const runs: Record<string, number> = {}
  // A test that attacks a TLS and a plain agent at once starts each with another half, so that all attacks run in half
  // the time.
  let next = target.ca === undefined ? 0 : Math.floor(attacks.length / 2)
  const worker = async (): Promise<void> => {
    while (!ended.aborted && next < attacks.length * MAX_ROUNDS) {
      const [name, attack] = attacks[next % attacks.length] ?? []
      next += 1
      if (name === undefined || attack === undefined) return
      await attack(target, { signal: ended, holdMs: EACH_HOLD_MS })
      runs[name] = (runs[name] ?? 0) + 1
    }
  }
  onEstablished?.()
  try {
    await Promise.all(Array.from({ length: CONCURRENCY }, worker))
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', abort)
  }
  return runs
}
