import { pause } from '../deadline.ts'
import type { Target } from '../raw-http/raw-socket.ts'

/** The server that is attacked, which the test has started on 127.0.0.1, and the paths that the attack requests. */
export interface AttackTarget extends Target {
  /** The path of a large blob, such as 8 MiB: socket buffers of the kernel hold up to 6 MiB of unread bytes. */
  readonly blob: string
  /** The path of a large manifest. */
  readonly manifest: string
}

/** Every attack ends by itself, or earlier when the signal is aborted. */
export interface AttackOptions {
  readonly signal: AbortSignal
  /** Called when the attack is established: its connections are open and its requests are sent. */
  readonly onEstablished?: (() => void) | undefined
}

/** Options of an attack that continues after it is established. */
export interface HoldOptions extends AttackOptions {
  /** How long the attack continues. */
  readonly holdMs?: number | undefined
}

/** Counts of what an attack has done. */
export type AttackReport = Readonly<Record<string, number>>

const DEFAULT_HOLD_MS = 10_000

/** Reports that the attack is established, and waits for its end. */
export async function hold({ signal, onEstablished, holdMs = DEFAULT_HOLD_MS }: HoldOptions): Promise<void> {
  onEstablished?.()
  await pause(holdMs, signal)
}

/** Calls `run` `times` times, `concurrency` at once, until the signal is aborted. Failures are counted, and do not stop it. */
export async function repeat(
  { times, concurrency, signal }: { times: number; concurrency: number; signal: AbortSignal },
  run: (index: number) => Promise<void>,
): Promise<{ done: number; failed: number }> {
  let next = 0
  let done = 0
  let failed = 0
  const worker = async (): Promise<void> => {
    while (next < times && !signal.aborted) {
      const index = next
      next += 1
      try {
        await run(index)
        done += 1
      } catch {
        failed += 1
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(concurrency, times) }, worker))
  return { done, failed }
}
