import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { END_OF_FILE, isOfSuite, type TestEvent } from './test-event.ts'

const SHARED_PROCESS = fileURLToPath(new URL('./shared-process.js', import.meta.url))
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

/** Receives what happens in one test file. */
export interface FileListener {
  event(event: TestEvent): void
  end(result: FileResult): void
}

export interface RunOptions {
  readonly silenceMs: number
  /** Where the compiled file is. */
  readonly pathOf: (file: string) => string
  readonly listen: (file: string) => FileListener
}

const running = new Set<ChildProcess>()

/**
 * Runs test files, one after another, in a process group of their own. The whole group is killed when its process has ended,
 * so no child of a test outlives it. A file in which no test ends for `silenceMs` is killed too: the result names the tests
 * that were under way. The files after one that ends the process, or is killed, run in another process.
 */
export async function runFiles(files: readonly string[], options: RunOptions): Promise<void> {
  for (let next = 0; next < files.length; ) next += await runProcess(files.slice(next), options)
}

/** Returns how many of the files have ended: at least one. */
async function runProcess(
  files: readonly string[],
  { silenceMs, pathOf, listen }: RunOptions,
): Promise<number> {
  const paths = files.map(pathOf)
  const program = paths.length === 1 ? paths : [SHARED_PROCESS, ...paths]
  const child = spawn(
    process.execPath,
    [`--test-reporter=${REPORTER}`, '--test-reporter-destination=stdout', ...program],
    { detached: true, serialization: 'advanced', stdio: ['ignore', 'pipe', 'pipe', 'ipc'] },
  )
  running.add(child)
  const runs = files.map((file) => new FileRun(listen(file)))
  let current = 0
  const run = (): FileRun => runs[current] as FileRun
  run().start()
  let silence: string | undefined
  const watchdog = setTimeout(() => {
    silence = `no test of the file ended for ${silenceMs / 1000} s; under way: ${run().open.names().join(', ') || 'nothing, but the process did not end'}`
    killGroup(child)
  }, silenceMs)
  child.on('message', (event: TestEvent) => {
    if (OpenTests.isEnd(event)) watchdog.refresh()
    run().note(event)
    const { check } = run()
    // What a file has left behind would reach the next one.
    if (check === 'failed') killGroup(child)
    if (check === 'passed' && current < files.length - 1) {
      run().end(undefined)
      current += 1
      run().start()
      // It may have ended meanwhile.
      child.send('next file', () => {})
    }
  })
  for (const [type, output] of [
    ['test:stdout', child.stdout],
    ['test:stderr', child.stderr],
  ] as const) {
    output?.setEncoding('utf8')
    output?.on('data', (message: string) => run().note({ type, data: { nesting: 0, message } }))
  }
  const disconnected = once(child, 'disconnect')
  const closed = once(child, 'close')
  try {
    const [code, signal] = await once(child, 'exit')
    clearTimeout(watchdog)
    killGroup(child)
    await within(EVENTS_MS, disconnected)
    await within(OUTPUT_MS, closed)
    const hasFailed = runs.some(({ failed }) => failed > 0)
    const { check } = run()
    const isCut = files.length > 1 && check === undefined
    run().end(silence ?? (check === 'failed' ? undefined : failureOf({ code, signal, hasFailed, isCut })))
    return current + 1
  } finally {
    clearTimeout(watchdog)
    killGroup(child)
    running.delete(child)
    child.stdout?.destroy()
    child.stderr?.destroy()
  }
}

/** One of the files of a process. */
class FileRun {
  readonly open = new OpenTests()
  readonly #listener: FileListener
  #startedAt = 0
  #ended = 0
  failed = 0
  /** How the check after the tests of one of several files has ended. */
  check: 'passed' | 'failed' | undefined

  constructor(listener: FileListener) {
    this.#listener = listener
  }

  start(): void {
    this.#startedAt = performance.now()
  }

  note(event: TestEvent): void {
    this.open.note(event)
    const isCheck = event.data.name === END_OF_FILE && event.data.nesting === 0
    if ((event.type === 'test:pass' || event.type === 'test:fail') && !isOfSuite(event)) {
      if (isCheck) this.check = event.type === 'test:pass' ? 'passed' : 'failed'
      else this.#ended += 1
      if (event.type === 'test:fail') this.failed += 1
    }
    // The check is news only if it fails.
    if (!isCheck || event.type === 'test:fail') this.#listener.event(event)
  }

  end(failure: string | undefined): void {
    const ms = performance.now() - this.#startedAt
    this.#listener.end({ failure: failure ?? (this.#ended === 0 ? 'the file holds no test' : undefined), ms })
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
  readonly hasFailed: boolean
  /** The process has ended before the file. */
  readonly isCut: boolean
}): string | undefined {
  if (end.signal !== null) return `the process was ended by ${end.signal}`
  if (end.isCut) return `the process ended with ${end.code} before the tests of the file`
  return end.code !== 0 && !end.hasFailed
    ? `the process ended with ${end.code}, though no test failed`
    : undefined
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
