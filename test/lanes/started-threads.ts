import type { TestContext } from 'node:test'
import type { Worker } from 'node:worker_threads'
import { addCleanup } from '../../testkit/cleanup.ts'

/** The threads that start in this process from now on, until the test is over. */
export function startedThreads(t: TestContext): readonly Worker[] {
  const threads: Worker[] = []
  const remember = (thread: Worker): number => threads.push(thread)
  process.on('worker', remember)
  addCleanup(t, () => process.off('worker', remember))
  return threads
}
