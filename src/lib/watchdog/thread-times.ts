import { readFileSync } from 'node:fs'

/** What the kernel says of a thread: sums since the thread has started. */
export interface ThreadTimes {
  readonly ranMs: number
  /** How long the thread could have run, and others had the processor. */
  readonly waitedMs: number
  /** The thread runs, or waits for a processor. */
  readonly isRunnable: boolean
}

const NANOSECONDS_PER_MS = 1_000_000
/** Run time, wait time and number of time slices, as in the kernel's `Documentation/scheduler/sched-stats.rst`. */
const SCHEDSTAT = /^(\d+) (\d+) \d+$/
/** The state follows the name of the program, which may contain anything. */
const STATE = /.*\) (\S)/s

/** Gives undefined where the kernel does not say it: elsewhere than on Linux, and in some sandboxes. */
export function readThreadTimes(thread: number): ThreadTimes | undefined {
  try {
    const folder = `/proc/self/task/${thread}`
    const times = SCHEDSTAT.exec(readFileSync(`${folder}/schedstat`, 'latin1').trim())
    const state = STATE.exec(readFileSync(`${folder}/stat`, 'latin1'))?.[1]
    const [ranMs, waitedMs] = [times?.[1], times?.[2]].map((text) => Number(text) / NANOSECONDS_PER_MS)
    // A thread that has started has run: a kernel that does not count says 0.
    if (!ranMs || waitedMs === undefined || state === undefined) return undefined
    return { ranMs, waitedMs, isRunnable: state === 'R' }
  } catch {
    return undefined
  }
}

/**
 * Gives how much of the time between two looks at a thread the thread has had: all but that in which it waited for a processor.
 * Undefined if the kernel does not say it. The kernel adds a wait to its sum only when the wait is over, so of a thread that can run, only the time counts in which it ran.
 */
export function ownTime(
  tookMs: number,
  before: ThreadTimes | undefined,
  after: ThreadTimes | undefined,
): number | undefined {
  if (before === undefined || after === undefined) return undefined
  const ranMs = after.ranMs - before.ranMs
  const waitedMs = after.waitedMs - before.waitedMs
  return Math.min(tookMs, Math.max(0, after.isRunnable ? ranMs : tookMs - waitedMs))
}
