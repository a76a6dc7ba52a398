import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { isOfSuite, type TestEvent } from './test-event.ts'

const REPORTER = fileURLToPath(new URL('./reporter.js', import.meta.url))
/** After the process of a file has ended, its last events come within this time, however busy the machine is. */
const EVENTS_MS = 60_000
/** Output that a daemon outside of the group still holds open is not waited for any longer than this. */
const OUTPUT_MS = 2000

export interface FileResult {
  /** Why the file has failed, apart from the tests that it reported. */
  readonly failure: string | undefined
  readonly ms: number
}

const running = new Set<ChildProcess>()

/**
 * Runs one test file in a process group of its own, and gives each event to `onEvent` as it comes. The whole group is
 * killed when the file's process has ended, so no child of a test outlives its file. A file in which no test ends for
 * `silenceMs` is killed too: the result names the tests that were under way.
 */
export async function runFile(
  file: string,
  { silenceMs, onEvent }: { readonly silenceMs: number; readonly onEvent: (event: TestEvent) => void },
): Promise<FileResult> {
  const startedAt = performance.now()
  const child = spawn(
    process.execPath,
    [`--test-reporter=${REPORTER}`, '--test-reporter-destination=stdout', file],
    { detached: true, serialization: 'advanced', stdio: ['ignore', 'pipe', 'pipe', 'ipc'] },
  )
  running.add(child)
  const open = new OpenTests()
  let silence: string | undefined
  const watchdog = setTimeout(() => {
    silence = `no test of the file ended for ${silenceMs / 1000} s; under way: ${open.names().join(', ') || 'nothing, but the process did not end'}`
    killGroup(child)
  }, silenceMs)
  let failed = 0
  let ended = 0
  child.on('message', (event: TestEvent) => {
    open.note(event)
    if ((event.type === 'test:pass' || event.type === 'test:fail') && !isOfSuite(event)) {
      ended += 1
      if (event.type === 'test:fail') failed += 1
    }
    if (OpenTests.isEnd(event)) watchdog.refresh()
    onEvent(event)
  })
  for (const [type, output] of [
    ['test:stdout', child.stdout],
    ['test:stderr', child.stderr],
  ] as const) {
    output?.setEncoding('utf8')
    output?.on('data', (message: string) => onEvent({ type, data: { nesting: 0, message } }))
  }
  const disconnected = once(child, 'disconnect')
  const closed = once(child, 'close')
  try {
    const [code, signal] = await once(child, 'exit')
    clearTimeout(watchdog)
    killGroup(child)
    await within(EVENTS_MS, disconnected)
    await within(OUTPUT_MS, closed)
    const failure = silence ?? failureOf({ code, signal, failed, ended })
    return { failure, ms: performance.now() - startedAt }
  } finally {
    clearTimeout(watchdog)
    killGroup(child)
    running.delete(child)
    child.stdout?.destroy()
    child.stderr?.destroy()
  }
}

async function within(ms: number, work: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const deadline = new Promise((resolve) => {
    timer = setTimeout(resolve, ms)
  })
  await Promise.race([work, deadline])
  clearTimeout(timer)
}

/** Kills every test file that runs, with all that its tests have started. */
export function killAll(): void {
  for (const child of running) killGroup(child)
}

function failureOf(end: {
  readonly code: number | null
  readonly signal: string | null
  readonly failed: number
  readonly ended: number
}): string | undefined {
  if (end.signal !== null) return `the process was ended by ${end.signal}`
  if (end.code !== 0 && end.failed === 0) return `the process ended with ${end.code}, though no test failed`
  return end.ended === 0 ? 'the file holds no test' : undefined
}

function killGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, 'SIGKILL')
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error
  }
}

/** The tests of a file that have begun and not ended. */
class OpenTests {
  readonly #open = new Map<string, number>()

  /** Node 20 and 24 report the end of a test at once by `test:complete`, and in order by `test:pass` and `test:fail`. */
  static isEnd({ type }: TestEvent): boolean {
    return type === 'test:complete' || type === 'test:pass' || type === 'test:fail'
  }

  note(event: TestEvent): void {
    const { name, nesting } = event.data
    if (name === undefined) return
    const key = `${nesting} ${name}`
    if (event.type === 'test:dequeue') this.#open.set(key, (this.#open.get(key) ?? 0) + 1)
    if (event.type !== 'test:pass' && event.type !== 'test:fail') return
    const left = (this.#open.get(key) ?? 1) - 1
    if (left === 0 || isOfSuite(event)) this.#open.delete(key)
    else this.#open.set(key, left)
  }

  /** The innermost first: they are what the others wait for. */
  names(): string[] {
    return [...this.#open.keys()].reverse().map((key) => `“${key.slice(key.indexOf(' ') + 1)}”`)
  }
}
