import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { within } from '../../testkit/deadline.ts'
import { type FileResult, runFile } from './file-process.ts'
import type { TestEvent } from './test-event.ts'

const MAX_SILENCE_MS = 80_000

async function runOwn(
  name: string,
  silenceMs = 60_000,
): Promise<{ result: FileResult; events: TestEvent[]; output: string }> {
  const events: TestEvent[] = []
  const file = fileURLToPath(new URL(`./files/${name}.js`, import.meta.url))
  const result = await runFile(file, { silenceMs, onEvent: (event) => events.push(event) })
  const output = events.filter(({ type }) => type === 'test:stdout').map(({ data }) => data.message)
  return { result, events, output: output.join('') }
}

function ended(events: readonly TestEvent[], type: 'test:pass' | 'test:fail'): (string | undefined)[] {
  return events.filter((event) => event.type === type).map(({ data }) => data.name)
}

/** A killed process is still listed until its parent has waited for it. */
async function isRunning(pid: number): Promise<boolean> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '')
  return /^State:/m.test(status) && !/^State:\s+[ZX]/m.test(status)
}

async function endOf(pid: number): Promise<void> {
  while (await isRunning(pid)) await delay(5)
}

test('a test that hangs is named, and its file ends', async () => {
  for (let silenceMs = 5000; ; silenceMs *= 4) {
    const { result, events } = await runOwn('hangs', silenceMs)
    const passed = ended(events, 'test:pass')
    // On a busy machine the process may need longer to start.
    if (passed.length === 0 && silenceMs < MAX_SILENCE_MS) continue
    const reason = `no test of the file ended for ${silenceMs / 1000} s; under way: “one that hangs”`
    assert.equal(result.failure, reason)
    assert.deepEqual(passed, ['one that ends'])
    return
  }
})

test('a child that a test has left behind is killed, and its output does not hold up the file', async () => {
  const { result, output } = await runOwn('leaves-a-child')
  assert.equal(result.failure, undefined)
  const pid = Number(/^child (\d+)$/m.exec(output)?.[1])
  assert.ok(pid > 0)
  // A killed process closes its output a moment before it ends. Without the kill it would run for ten minutes.
  await within(60_000, 'the end of the child', endOf(pid))
})

test('a file whose process ends before its tests has failed', async () => {
  const { result } = await runOwn('crashes')
  assert.equal(result.failure, 'the process ended with 3, though no test failed')
})

test('a file without a test has failed', async () => {
  const { result } = await runOwn('empty')
  assert.equal(result.failure, 'the file holds no test')
})

test('the events of passed, failed and skipped tests are reported, with the error', async () => {
  const { result, events } = await runOwn('fails')
  assert.equal(result.failure, undefined)
  assert.deepEqual(ended(events, 'test:fail'), ['one that fails', 'a suite'])
  assert.deepEqual(ended(events, 'test:pass'), ['one that is skipped', 'one that passes'])
  const failed = events.find(({ type, data }) => type === 'test:fail' && data.name === 'one that fails')
  assert.match(String(failed?.data.details?.error?.cause), /1 !== 2/)
})
