import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { setPriority } from 'node:os'
import { createInterface } from 'node:readline'
import { type TestContext, test } from 'node:test'
import { Watchdog } from '../../../src/lib/watchdog/watchdog.ts'

const WATCHDOG = new URL('../../../src/lib/watchdog/watchdog.js', import.meta.url).href
const LAST_LINE = 'the main thread has not moved'

/** With this tick a main thread hangs after 1.35 s, and not after the 4.5 s of an agent: tests that wait take less time. */
const TICK_MS = 300
/** Longer than a main thread may hang. */
const LONG_MS = 2500

interface StartOptions {
  readonly flags?: readonly string[]
  /** Undefined: the tick of an agent. */
  readonly tickMs?: number | undefined
}

/** Starts a process with a watchdog, which says `started` and then runs `body`. */
function start(t: TestContext, body: string, options: StartOptions = {}) {
  const { flags, tickMs } = { flags: [], tickMs: TICK_MS, ...options }
  const program = `
    import { Watchdog } from ${JSON.stringify(WATCHDOG)}
    const watchdog = new Watchdog({
      lastLine: ${JSON.stringify(`${LAST_LINE}\n`)},
      onDied: console.error,
      tickMs: ${tickMs},
    })
    const block = (ms) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
    console.log('started')
    ${body}`
  const child = spawn(process.execPath, [...flags, '--input-type=module', '--eval', program], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  t.after(() => child.kill('SIGKILL'))
  const ended = once(child, 'close')
  const errorLines: string[] = []
  const output = createInterface({ input: child.stdout })
  createInterface({ input: child.stderr }).on('line', (text) => errorLines.push(text))
  return { child, output, errorLines, ended }
}

/** Does nothing where only root may do this, or when the process has ended. */
function tryPriority(pid: number, priority: number): void {
  try {
    setPriority(pid, priority)
  } catch {}
}

async function line(child: ChildProcess, output: ReturnType<typeof createInterface>): Promise<string> {
  const [text] = await Promise.race([
    once(output, 'line'),
    once(child, 'exit').then(() => assert.fail('the process has ended')),
  ])
  return String(text)
}

test('a process whose main thread hangs is killed, and says why', async (t) => {
  for (const [how, body, tickMs] of [
    ['in a loop', 'for (;;);', TICK_MS],
    ['in a call', 'block(2 ** 31 - 1)', TICK_MS],
    // A call takes no processor time, so a busy machine does not make this longer.
    ['in a call, with the tick of an agent', 'block(2 ** 31 - 1)', undefined],
  ] as const) {
    await t.test(how, async (t) => {
      const { child, errorLines, ended } = start(t, body, { tickMs })
      // A loop is killed once it has run for a while, which takes long on a busy machine.
      tryPriority(child.pid ?? assert.fail('not started'), -20)
      assert.deepEqual(await ended, [null, 'SIGKILL'])
      assert.deepEqual(errorLines, [LAST_LINE])
    })
  }
})

test('a process whose stderr is full, because nobody reads it, is killed too', async (t) => {
  const program = `
    import { writeSync } from 'node:fs'
    import { Watchdog } from ${JSON.stringify(WATCHDOG)}
    new Watchdog({ lastLine: 'x', onDied: () => process.exit(1), tickMs: ${TICK_MS} })
    try { for (;;) writeSync(2, 'x'.repeat(4096)) } catch {}
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)`
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  t.after(() => child.kill('SIGKILL'))
  assert.deepEqual(await once(child, 'exit'), [null, 'SIGKILL'])
})

test('a process that moves, or whose watchdog was stopped, is not killed', async (t) => {
  // The main thread stands still for a while, three times, and then for longer without a watchdog.
  const { errorLines, ended } = start(
    t,
    `const turn = () => new Promise((resolve) => setTimeout(resolve, 200))
    for (const _ of [1, 2, 3]) { await turn(); block(600) }
    await watchdog.stop()
    block(${LONG_MS})
    process.exit(7)`,
  )
  assert.deepEqual(await ended, [7, null])
  assert.deepEqual(errorLines, [])
})

test('a process that was stopped as a whole goes on', async (t) => {
  const { child, output, errorLines, ended } = start(
    t,
    `process.on('SIGUSR2', () => process.exit(8))
    setInterval(() => console.log('moves'), 100)`,
  )
  await line(child, output)
  child.kill('SIGSTOP')
  await new Promise((resolve) => setTimeout(resolve, LONG_MS))
  child.kill('SIGCONT')
  for (let moves = 0; moves < 3; ) if ((await line(child, output)) === 'moves') moves += 1
  child.kill('SIGUSR2')
  assert.deepEqual(await ended, [8, null])
  assert.deepEqual(errorLines, [])
})

test('a process that a debugger may stop is not killed', async (t) => {
  const { ended } = start(t, `block(${LONG_MS}); process.exit(9)`, { flags: ['--inspect=127.0.0.1:0'] })
  assert.deepEqual(await ended, [9, null])
})

test('the watchdog does not keep a process alive, and can be stopped', async (t) => {
  const { ended } = start(t, '')
  assert.deepEqual(await ended, [0, null])
  const watchdog = new Watchdog({ lastLine: '', onDied: (error) => assert.fail(error) })
  await watchdog.stop()
})

test('a process that lacks processor time is not killed', async (t) => {
  const pin = (pid: number, processors: string) =>
    spawnSync('taskset', ['--cpu-list', '--pid', processors, `${pid}`]).status === 0
  const allowed = /^Cpus_allowed_list:\s*(\S+)/m.exec(
    await readFile('/proc/self/status', 'latin1').catch(() => ''),
  )
  const [first] = /^\d+/.exec(allowed?.[1] ?? '') ?? []
  if (allowed?.[1] === undefined || first === undefined || !pin(process.pid, allowed[1]))
    return t.skip('missing: taskset (Debian package util-linux)')
  const { child, output, errorLines, ended } = start(
    t,
    `const used = () => process.cpuUsage().user + process.cpuUsage().system
    process.on('SIGUSR2', () => {
      for (const end = used() + 150_000; used() < end; );
      process.exit(8)
    })
    setInterval(() => {}, 1000)`,
  )
  await line(child, output)
  // The main thread has to run for 150 ms, and gets about one of seventy beside this loop: less than 50 ms until it ends.
  const loop = spawn(process.execPath, ['--eval', "require('node:fs').writeSync(1, 'started'); for (;;);"])
  t.after(() => loop.kill('SIGKILL'))
  await once(loop.stdout, 'data')
  const [pid, loopPid] = [child.pid ?? assert.fail('not started'), loop.pid ?? assert.fail('not started')]
  // On Linux these change the main thread alone; the thread of the watchdog has its processor and is on time.
  assert.ok(pin(pid, first) && pin(loopPid, first))
  setPriority(pid, 19)
  // The tests may run at a low priority themselves.
  tryPriority(loopPid, 0)
  child.kill('SIGUSR2')
  await new Promise((resolve) => setTimeout(resolve, LONG_MS))
  loop.kill('SIGKILL')
  pin(pid, allowed[1])
  // Without this the work takes longer on a busy machine.
  tryPriority(pid, 0)
  assert.deepEqual(await ended, [8, null])
  assert.deepEqual(errorLines, [])
})
