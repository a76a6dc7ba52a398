import { ATTACKS } from './all.ts'
import type { AttackTarget, HoldOptions, Report } from './attack.ts'

/** Under way at the same time. */
const LANES = 8
const MOST_ROUNDS = 1000
const EACH_HOLD_MS = 1000

/** All attacks again and again, some at a time, for so long. Gives how often each was made. */
export async function attackWithEverything(
  target: AttackTarget,
  { signal, onInPlace, holdMs = 10_000 }: HoldOptions,
): Promise<Report> {
  const over = new AbortController()
  const end = (): void => over.abort()
  const timer = setTimeout(end, holdMs)
  signal.addEventListener('abort', end)
  const ended = over.signal
  const attacks = [...ATTACKS]
  const made: Record<string, number> = {}
  // Who attacks two agents at once begins with another half at each, so that all are made in half the time.
  let next = target.ca === undefined ? 0 : Math.floor(attacks.length / 2)
  const lane = async (): Promise<void> => {
    while (!ended.aborted && next < attacks.length * MOST_ROUNDS) {
      const [name, attack] = attacks[next % attacks.length] ?? []
      next += 1
      if (name === undefined || attack === undefined) return
      await attack(target, { signal: ended, holdMs: EACH_HOLD_MS })
      made[name] = (made[name] ?? 0) + 1
    }
  }
  onInPlace?.()
  try {
    await Promise.all(Array.from({ length: LANES }, lane))
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', end)
  }
  return made
}
