import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CleanupStack, StoppedWhileStarting } from '../../../src/lib/async/cleanup-stack.ts'

test('the steps run one after the other, the last one first, and each once', async () => {
  const cleanup = new CleanupStack()
  const ran: string[] = []
  for (const name of ['first', 'second']) {
    cleanup.add(async ({ drainMs }) => {
      await new Promise((resolve) => setImmediate(resolve))
      ran.push(`${name} ${drainMs}`)
    })
  }
  await cleanup.run({ drainMs: 5 })
  await cleanup.run({ drainMs: 6 })
  assert.deepEqual(ran, ['second 5', 'first 5'])
})

test('a step that fails does not keep the others from running, and its failure is thrown', async () => {
  const cleanup = new CleanupStack()
  let hasRun = false
  const failure = new Error('the step fails')
  cleanup.add(() => {
    hasRun = true
  })
  cleanup.add(() => Promise.reject(failure))
  await assert.rejects(cleanup.run({ drainMs: 0 }), (error: unknown) => {
    assert.ok(error instanceof AggregateError)
    assert.deepEqual(error.errors, [failure])
    return true
  })
  assert.ok(hasRun)
})

test('a step that is added after the cleanup has begun ends the start, and is part of the next cleanup', async () => {
  const cleanup = new CleanupStack()
  await cleanup.run({ drainMs: 0 })
  let runs = 0
  assert.throws(() => cleanup.add(() => (runs += 1)), StoppedWhileStarting)
  assert.equal(runs, 0)
  await cleanup.run({ drainMs: 0 })
  assert.equal(runs, 1)
})
