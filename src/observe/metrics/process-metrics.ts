import { readdirSync, readFileSync } from 'node:fs'
import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks'
import { cpuUsage, memoryUsage, uptime } from 'node:process'
import { readWhenScraped } from './instruments.ts'
import type { Metric } from './text-format.ts'

/** How often the event loop is sampled; a stall shorter than this does not show. */
const RESOLUTION_MS = 50
/** The lag is that of the last whole period, which all scrapers see. */
const PERIOD_MS = 60_000

interface Lag {
  readonly mean: number
  readonly p99: number
  readonly max: number
}

/** Metrics of the process, under the names that Prometheus client libraries use, so that existing dashboards work. */
export class ProcessMetrics {
  readonly #delay: IntervalHistogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
  readonly #startedAt = Date.now() / 1000 - uptime()
  #memory = memoryUsage()

  #lag: Lag | undefined
  readonly #timer: NodeJS.Timeout

  constructor({ periodMs = PERIOD_MS }: { periodMs?: number } = {}) {
    this.#delay.enable()
    this.#timer = setInterval(() => {
      this.#lag = this.#lagSoFar()
      this.#delay.reset()
    }, periodMs).unref()
  }

  close(): void {
    clearInterval(this.#timer)
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

  *#eventLoopLag(): Iterable<Metric> {
    const lag = this.#lag ?? this.#lagSoFar()
    const help = 'Event loop lag in the last whole minute'
    yield readWhenScraped('gauge', 'nodejs_eventloop_lag_mean_seconds', `${help}: mean.`, () => lag?.mean)
    yield readWhenScraped(
      'gauge',
      'nodejs_eventloop_lag_p99_seconds',
      `${help}: 99th percentile.`,
      () => lag?.p99,
    )
    yield readWhenScraped('gauge', 'nodejs_eventloop_lag_max_seconds', `${help}: longest.`, () => lag?.max)
  }

  #lagSoFar(): Lag | undefined {
    if (this.#delay.count === 0) return undefined
    const seconds = (nanoseconds: number): number => Math.max(0, nanoseconds / 1e9 - RESOLUTION_MS / 1000)
    return {
      mean: seconds(this.#delay.mean),
      p99: seconds(this.#delay.percentile(99)),
      max: seconds(this.#delay.max),
    }
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
