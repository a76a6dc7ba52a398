import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as v from 'valibot'
import { countManifestTime, newPoint } from '../../../../src/observe/records/history/point.ts'
import { historyReport } from '../../../../src/observe/reports/recent/history.ts'
import { HistoryReport } from '../../../../src/schemas/history-report.ts'

test('the history is reported by spans, with the times of manifests as far as there are any', () => {
  const quiet = newPoint(Date.UTC(2026, 0, 31, 12), 9)
  const busy = newPoint(Date.UTC(2026, 0, 31, 12, 1), 9)
  countManifestTime(busy, 3)
  const report = historyReport({
    hour: { everyMs: 60_000, points: [quiet, busy] },
    day: { everyMs: 900_000, points: [] },
  })
  assert.deepEqual(v.parse(HistoryReport, report), report)
  assert.equal(report.hour.points[0]?.at, '2026-01-31T12:00:00.000Z')
  assert.deepEqual(
    report.hour.points.map(({ manifestMs }) => manifestMs),
    [null, { median: 5, p95: 5 }],
  )
})
