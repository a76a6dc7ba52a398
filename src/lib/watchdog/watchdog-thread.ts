import { writeSync } from 'node:fs'
import { workerData } from 'node:worker_threads'
import { BEATS, IS_DEBUGGED, IS_STOPPED, type WatchdogData } from './messages.ts'
import { Silence } from './silence.ts'
import { ownTime, readThreadTimes } from './thread-times.ts'

// The program of the watchdog's thread. The thread has no event loop while it waits, and needs nothing of the main thread.

const STDERR = 2

const { memory, thread, hangsMs, tickMs, lastLine }: WatchdogData = workerData
const fields = new Int32Array(memory)
const silence = new Silence(tickMs, Atomics.load(fields, BEATS))
let times = readThreadTimes(thread)

for (;;) {
  const before = performance.now()
  Atomics.wait(fields, IS_STOPPED, 0, tickMs)
  if (Atomics.load(fields, IS_STOPPED) === 1) break
  const tookMs = performance.now() - before
  const timesBefore = times
  times = readThreadTimes(thread)
  const silentMs = silence.tick({
    beats: Atomics.load(fields, BEATS),
    tookMs,
    ownMs: ownTime(tookMs, timesBefore, times),
    isDebugged: Atomics.load(fields, IS_DEBUGGED) === 1,
  })
  if (silentMs < hangsMs) continue
  write(lastLine)
  // In a thread, `process.exit` ends the thread only. The kernel ignores this signal for process 1 of a container.
  process.kill(process.pid, 'SIGKILL')
  break
}

/**
 * Node opens a pipe or a socket at stderr without blocking, for the whole process, so this does not wait for a reader that is
 * slow, which may be why the main thread does not move.
 */
function write(line: string): void {
  try {
    writeSync(STDERR, line)
  } catch {
    // Nobody reads stderr.
  }
}
