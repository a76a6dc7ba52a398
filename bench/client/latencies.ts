import { percentile } from '../stats.ts'
import type { Loaded } from './jobs.ts'

export class Latencies {
  readonly #ms: number[] = []

  add(ms: number): void {
    this.#ms.push(ms)
  }

  summary(ms: number, failed: number): Loaded {
    const at = (percent: number): number => percentile(this.#ms, percent)
    return {
      requests: this.#ms.length,
      failed,
      ms,
      latencyMs: { p50: at(50), p99: at(99), p999: at(99.9), max: at(100) },
    }
  }
}
