import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { describe, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { within } from '../../testkit/deadline.ts'
import { type FileResult, runFiles } from './file-process.ts'
import { END_OF_FILE, type TestEvent } from './test-event.ts'

const MAX_SILENCE_MS = 80_000

interface OwnRun {
  readonly result: FileResult
  readonly events: readonly TestEvent[]
  readonly output: string
  readonly errors: string
}

/** Runs files of `files/` in one process, and gives what was reported of each. */
async function runTogether(names: readonly string[], silenceMs = 60_000): Promise<OwnRun[]> {
  const runs = new Map<string, OwnRun>()
  await runFiles(names, {
    silenceMs,
    pathOf: (name) => fileURLToPath(new URL(`./files/${name}.js`, import.meta.url)),
    listen: (name) => {
      const events: TestEvent[] = []
      return {
        event: (event) => events.push(event),
        end: (result) => {
          const [output, errors] = (['test:stdout', 'test:stderr'] as const).map((wanted) =>
            events
              .filter(({ type }) => type === wanted)
              .map(({ data }) => data.message)
              .join(''),
          )
          runs.set(name, { result, events, output: output ?? '', errors: errors ?? '' })
        },
      }
    },
  })
  assert.deepEqual([...runs.keys()], names, 'each file ends once, in order')
  return [...runs.values()]
}

async function runOwn(name: string, silenceMs?: number): Promise<OwnRun> {
  const [run] = await runTogether([name], silenceMs)
  assert.ok(run !== undefined)
  return run
}

function failures(runs: readonly OwnRun[]): (string | undefined)[] {
  return runs.map(({ result }) => result.failure)
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

/** The run of files of which one is silent, which is given up for that only after something has ended. */
async function runSilent(
  names: readonly string[],
  done: string,
): Promise<{ runs: OwnRun[]; silenceMs: number }> {
  for (let silenceMs = 5000; ; silenceMs *= 4) {
    const runs = await runTogether(names, silenceMs)
    // On a busy machine the process may need longer to start.
    if (ended(runs[0]?.events ?? [], 'test:pass').includes(done) || silenceMs >= MAX_SILENCE_MS) {
      return { runs, silenceMs }
    }
  }
}

describe('a file in which no test ends for long', { concurrency: true }, () => {
  test('is ended, and the test that hangs is named', async () => {
    const { runs, silenceMs } = await runSilent(['hangs'], 'one that ends')
    const reason = `no test of the file ended for ${silenceMs / 1000} s; under way: “one that hangs”`
    assert.deepEqual(failures(runs), [reason])
    assert.deepEqual(ended(runs[0]?.events ?? [], 'test:pass'), ['one that ends'])
  })

  test('because it leaves a server open is named, and the files after it run in another process', async () => {
    const { runs, silenceMs } = await runSilent(['leaves-a-server', 'passes'], 'one that leaves a server')
    const reason = `no test of the file ended for ${silenceMs / 1000} s; under way: “${END_OF_FILE}”`
    assert.deepEqual(failures(runs), [reason, undefined])
    assert.match(runs[0]?.errors ?? '', /^The file has left open: TCPServerWrap$/m)
  })
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

test('files that share a process are reported one by one', async () => {
  const runs = await runTogether(['passes', 'fails', 'empty', 'passes-too'])
  assert.deepEqual(failures(runs), [undefined, undefined, 'the file holds no test', undefined])
  assert.deepEqual(
    runs.map(({ events }) => ended(events, 'test:pass')),
    [
      ['one that passes'],
      ['one that is skipped', 'one that passes'],
      ['a suite without a test'],
      ['another that passes'],
    ],
  )
})

test('a file that ends its process is named, and the files after it run in another one', async () => {
  const runs = await runTogether(['passes', 'crashes', 'passes-too'])
  const reason = 'the process ended with 3 before the tests of the file'
  assert.deepEqual(failures(runs), [undefined, reason, undefined])
  assert.deepEqual(ended(runs[2]?.events ?? [], 'test:pass'), ['another that passes'])
})

test('a file that changes the process is named, and the files after it run in another one', async () => {
  const runs = await runTogether(['changes-the-environment', 'passes'])
  assert.deepEqual(failures(runs), [undefined, undefined])
  assert.deepEqual(
    runs.map(({ events }) => ended(events, 'test:fail')),
    [[END_OF_FILE], []],
  )
})
