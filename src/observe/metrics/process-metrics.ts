import { readdirSync, readFileSync } from 'node:fs'
import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks'
import { cpuUsage, memoryUsage, uptime } from 'node:process'
import { type Metric, readWhenScraped } from './prometheus.ts'

const RESOLUTION_MS = 50

/** How the process itself is doing, under the names that every Prometheus client library uses. */
export class ProcessMetrics {
  readonly #delay: IntervalHistogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
  readonly #startedAt = Date.now() / 1000 - uptime()
  #memory = memoryUsage()

  constructor() {
    this.#delay.enable()
  }

  close(): void {
    this.#delay.disable()
  }

  *metrics(): Iterable<Metric> {
    this.#memory = memoryUsage()
    const { user, system } = cpuUsage()
    yield readWhenScraped(
      'counter',
      'process_cpu_seconds_total',
      'CPU time spent, in user and kernel mode.',
      () => (user + system) / 1e6,
    )
    yield readWhenScraped(
      'gauge',
      'process_resident_memory_bytes',
      'Memory held in RAM.',
      () => this.#memory.rss,
    )
    yield readWhenScraped('gauge', 'process_open_fds', 'Open files and sockets.', openFiles)
    yield readWhenScraped('gauge', 'process_max_fds', 'How many files and sockets may be open.', mostFiles)
    yield readWhenScraped(
      'gauge',
      'process_start_time_seconds',
      'When the process was started, in seconds since the epoch.',
      () => this.#startedAt,
    )
    yield readWhenScraped(
      'gauge',
      'nodejs_heap_size_total_bytes',
      'JavaScript heap that is allocated.',
      () => this.#memory.heapTotal,
    )
    yield readWhenScraped(
      'gauge',
      'nodejs_heap_size_used_bytes',
      'JavaScript heap that is in use.',
      () => this.#memory.heapUsed,
    )
    yield readWhenScraped(
      'gauge',
      'nodejs_external_memory_bytes',
      'Memory outside the heap that JavaScript objects hold.',
      () => this.#memory.external,
    )
    yield* this.#loopDelay()
  }

  /** Since the last scrape; a mean over days would hide every stall. */
  *#loopDelay(): Iterable<Metric> {
    const samples = this.#delay.count
    const overdue = (nanoseconds: number): number | undefined =>
      samples === 0 ? undefined : Math.max(0, nanoseconds / 1e9 - RESOLUTION_MS / 1000)
    const mean = overdue(this.#delay.mean)
    const p99 = overdue(this.#delay.percentile(99))
    const max = overdue(this.#delay.max)
    this.#delay.reset()
    const about = 'How late timers fire, since the last scrape'
    yield readWhenScraped('gauge', 'nodejs_eventloop_lag_mean_seconds', `${about}: mean.`, () => mean)
    yield readWhenScraped(
      'gauge',
      'nodejs_eventloop_lag_p99_seconds',
      `${about}: 99th percentile.`,
      () => p99,
    )
    yield readWhenScraped('gauge', 'nodejs_eventloop_lag_max_seconds', `${about}: longest.`, () => max)
  }
}

function openFiles(): number | undefined {
  try {
    return readdirSync('/proc/self/fd').length - 1 // one is the folder that is being read
  } catch {
    return undefined
  }
}

function mostFiles(): number | undefined {
  try {
    const limit = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))
    return limit?.[1] === undefined ? undefined : Number(limit[1])
  } catch {
    return undefined
  }
}
