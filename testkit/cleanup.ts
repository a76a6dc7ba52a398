import type { TestContext } from 'node:test'

const cleanups = new WeakMap<TestContext, (() => unknown)[]>()

/** Runs `undo` after the test, the last one first; Node's own `after` runs them in the order of the calls. */
export function addCleanup(t: TestContext, undo: () => unknown): void {
  const known = cleanups.get(t)
  if (known !== undefined) {
    known.push(undo)
    return
  }
  const all = [undo]
  cleanups.set(t, all)
  t.after(async () => {
    // A cleanup that fails must not prevent the others.
    const failures: unknown[] = []
    for (const each of all.reverse()) {
      try {
        await each()
      } catch (error) {
        failures.push(error)
      }
    }
    if (failures.length > 0) throw new AggregateError(failures, 'a cleanup of the test failed')
  })
}
