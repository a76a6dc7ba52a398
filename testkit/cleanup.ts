import type { TestContext } from 'node:test'

const undoings = new WeakMap<TestContext, (() => unknown)[]>()

/** Done when the test is over, last things first: Node's own `after` goes by the order of asking. */
export function afterwards(t: TestContext, undo: () => unknown): void {
  const known = undoings.get(t)
  if (known !== undefined) {
    known.push(undo)
    return
  }
  const all = [undo]
  undoings.set(t, all)
  t.after(async () => {
    // One that fails must not leave the others undone.
    const failures: unknown[] = []
    for (const each of all.reverse()) {
      try {
        await each()
      } catch (error) {
        failures.push(error)
      }
    }
    if (failures.length > 0) throw new AggregateError(failures, 'not everything could be undone')
  })
}
