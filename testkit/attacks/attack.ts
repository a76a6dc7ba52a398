import { pause } from '../deadline.ts'
import type { Target } from '../raw-http/raw-socket.ts'

/** Whom an attack is against: a server on 127.0.0.1 that the test has started, and what it is asked for. */
export interface AttackTarget extends Target {
  /** The path of a large blob, e.g. of 8 MiB: the kernel takes up to 6 MiB that nobody reads. */
  readonly blob: string
  /** The path of a large manifest. */
  readonly manifest: string
}

/** Every attack ends by itself; it ends sooner when the signal is aborted. */
export interface AttackOptions {
  readonly signal: AbortSignal
  /** Called when everything is under way: connections are open, requests are sent. */
  readonly onInPlace?: (() => void) | undefined
}

/** An attack that is held. */
export interface HoldOptions extends AttackOptions {
  /** For so long at most. */
  readonly holdMs?: number | undefined
}

/** What was done, in numbers. */
export type Report = Readonly<Record<string, number>>

const HOLD_MS = 10_000

/** Says that the attack is in place, and holds it. */
export async function hold({ signal, onInPlace, holdMs = HOLD_MS }: HoldOptions): Promise<void> {
  onInPlace?.()
  await pause(holdMs, signal)
}

/** Does `one` so many times, a few at once, until the signal is aborted. What fails is counted and no reason to stop. */
export async function repeat(
  { times, atOnce, signal }: { times: number; atOnce: number; signal: AbortSignal },
  one: (index: number) => Promise<void>,
): Promise<{ done: number; failed: number }> {
  let next = 0
  let done = 0
  let failed = 0
  const worker = async (): Promise<void> => {
    while (next < times && !signal.aborted) {
      const index = next
      next += 1
      try {
        await one(index)
        done += 1
      } catch {
        failed += 1
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(atOnce, times) }, worker))
  return { done, failed }
}
