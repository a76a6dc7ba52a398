import { readdirSync, readFileSync } from 'node:fs'
import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks'
import { cpuUsage, memoryUsage, uptime } from 'node:process'
import { readWhenScraped } from './instruments.ts'
import type { Metric } from './text-format.ts'

/** How often the event loop is sampled; a stall shorter than this does not show. */
const RESOLUTION_MS = 50

/** Metrics of the process, under the names that Prometheus client libraries use, so that existing dashboards work. */
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
      'User and system CPU time.',
      () => (user + system) / 1e6,
    )
    yield readWhenScraped(
      'gauge',
      'process_resident_memory_bytes',
      'Resident memory size.',
      () => this.#memory.rss,
    )
    yield readWhenScraped('gauge', 'process_open_fds', 'Open file descriptors.', openFileDescriptors)
    yield readWhenScraped(
      'gauge',
      'process_max_fds',
      'Maximum number of open file descriptors.',
      maxFileDescriptors,
    )
    yield readWhenScraped(
      'gauge',
      'process_start_time_seconds',
      'Start time of the process, in seconds since the Unix epoch.',
      () => this.#startedAt,
    )
    yield readWhenScraped(
      'gauge',
      'nodejs_heap_size_total_bytes',
      'Allocated JavaScript heap.',
      () => this.#memory.heapTotal,
    )
    yield readWhenScraped(
      'gauge',
      'nodejs_heap_size_used_bytes',
      'Used JavaScript heap.',
      () => this.#memory.heapUsed,
    )
    yield readWhenScraped(
      'gauge',
      'nodejs_external_memory_bytes',
      'Memory outside the heap that is bound to JavaScript objects.',
      () => this.#memory.external,
    )
    yield* this.#eventLoopLag()
  }

  /** The lag is measured since the last scrape: a mean over days would hide every stall. */
  *#eventLoopLag(): Iterable<Metric> {
    const samples = this.#delay.count
    const lagSeconds = (nanoseconds: number): number | undefined =>
      samples === 0 ? undefined : Math.max(0, nanoseconds / 1e9 - RESOLUTION_MS / 1000)
    const mean = lagSeconds(this.#delay.mean)
    const p99 = lagSeconds(this.#delay.percentile(99))
    const max = lagSeconds(this.#delay.max)
    this.#delay.reset()
    const help = 'Event loop lag since the last scrape'
    yield readWhenScraped('gauge', 'nodejs_eventloop_lag_mean_seconds', `${help}: mean.`, () => mean)
    yield readWhenScraped('gauge', 'nodejs_eventloop_lag_p99_seconds', `${help}: 99th percentile.`, () => p99)
    yield readWhenScraped('gauge', 'nodejs_eventloop_lag_max_seconds', `${help}: longest.`, () => max)
  }
}

function openFileDescriptors(): number | undefined {
  try {
    return readdirSync('/proc/self/fd').length - 1 // Reading the folder opens one descriptor itself.
  } catch {
    return undefined
  }
}

function maxFileDescriptors(): number | undefined {
  try {
    const limit = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))
    return limit?.[1] === undefined ? undefined : Number(limit[1])
  } catch {
    return undefined
  }
}
