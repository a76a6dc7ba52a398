import type { Check, Row } from '../../../bench/report.ts'
import type { BenchResult } from '../../../bench/results/result-file.ts'

export function sampleCheck(values: readonly number[], more: Partial<Check> = {}): Check {
  return { label: 'compared with nginx', unit: 'x', values, ...more }
}

export function sampleRow(checks: readonly Check[], more: Partial<Row> = {}): Row {
  return {
    group: 'hits',
    name: 'stored blob',
    figures: [
      { side: 'Leat', unit: 'MB/s', values: [900, 1000, 1100] },
      { side: 'nginx', unit: 'MB/s', values: [1000], note: 'with sendfile' },
    ],
    checks,
    notes: [],
    ...more,
  }
}

export function sampleResult(rows: readonly Row[], more: Partial<BenchResult> = {}): BenchResult {
  return {
    startedAt: '2026-01-31T12:00:00.000Z',
    isQuick: false,
    machine: {
      cpu: 'a processor',
      cores: 2,
      memoryGiB: 24,
      load: [0.1, 0.2, 0.3],
      node: 'v20.20.2',
      sha256MBps: 1200,
      folder: '/dev/shm/x',
      folderIsTmpfs: true,
      freeBytes: 1,
      disk: { folder: '/tmp', fsync4MiBms: 2 },
      programs: ['nginx version: nginx/1.22'],
    },
    rows,
    failures: [],
    ...more,
  }
}
