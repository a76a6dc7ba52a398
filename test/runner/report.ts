import { once } from 'node:events'
import { PassThrough } from 'node:stream'
import { spec } from 'node:test/reporters'
import type { FileResult } from './file-process.ts'
import { isOfSuite, type TestEvent } from './test-event.ts'

/** How many of the slowest files a suite names. */
const SLOWEST = 5

export interface Failure {
  readonly file: string
  readonly name: string
  readonly reason: string
}

export interface Totals {
  passed: number
  skipped: number
  readonly failures: Failure[]
  /** What a skipped test says that it misses. */
  readonly missing: Set<string>
}

export function noTotals(): Totals {
  return { passed: 0, skipped: 0, failures: [], missing: new Set() }
}

/** What a suite prints: the events of each file in one piece, however many files run at a time. */
export class SuiteReport {
  readonly #events = new PassThrough({ objectMode: true, highWaterMark: 10_000 })
  readonly #printed: Promise<unknown>
  readonly #totals: Totals
  readonly #times: { readonly file: string; readonly ms: number }[] = []
  readonly #isLive: boolean

  /** `isLive`: an event is printed when it comes, which is for files that run one at a time. */
  constructor(totals: Totals, { isLive }: { readonly isLive: boolean }) {
    this.#totals = totals
    this.#isLive = isLive
    const lines = this.#events.compose(new spec())
    lines.pipe(process.stdout, { end: false })
    this.#printed = once(lines, 'end')
  }

  file(file: string): { event(event: TestEvent): void; end(result: FileResult): void } {
    const buffered: TestEvent[] = []
    let isOver = false
    const print = (event: TestEvent): void => {
      if (this.#isLive) this.#events.write(event)
      else buffered.push(event)
    }
    return {
      event: (event) => {
        this.#count(file, event)
        // After its tests, each file reports its own totals.
        if (event.type === 'test:plan' && event.data.nesting === 0) isOver = true
        if (event.type !== 'test:summary' && !(isOver && event.type === 'test:diagnostic')) print(event)
      },
      end: ({ failure, ms }) => {
        if (failure !== undefined) {
          this.#totals.failures.push({ file, name: file, reason: failure })
          print({ type: 'test:stderr', data: { nesting: 0, message: `✖ ${file}: ${failure}\n` } })
        }
        this.#times.push({ file, ms })
        for (const event of buffered) this.#events.write(event)
      },
    }
  }

  async end(): Promise<void> {
    this.#events.end()
    await this.#printed
    const slowest = this.#times.toSorted((a, b) => b.ms - a.ms).slice(0, SLOWEST)
    console.log(`slowest: ${slowest.map(({ file, ms }) => `${file} ${(ms / 1000).toFixed(1)} s`).join(', ')}`)
  }

  #count(file: string, event: TestEvent): void {
    const { name = file, skip, todo, details } = event.data
    if ((event.type !== 'test:pass' && event.type !== 'test:fail') || isOfSuite(event)) return
    if (skip !== undefined || todo !== undefined) {
      this.#totals.skipped += 1
      if (typeof skip === 'string') this.#totals.missing.add(skip)
    } else if (event.type === 'test:pass') this.#totals.passed += 1
    else this.#totals.failures.push({ file, name, reason: reasonOf(details?.error) })
  }
}

/** Node wraps what a test has thrown. */
function reasonOf(error: Error | undefined): string {
  const cause = error?.cause ?? error
  return cause instanceof Error ? (cause.stack ?? cause.message) : String(cause)
}
