import type { HistoryReport, HistoryScale } from '../../../schemas/history-report.ts'
import type { HistoryView } from '../../records/history/history.ts'
import { type HistoryPoint, manifestQuantile } from '../../records/history/point.ts'
import { rfc3339 } from '../../rfc3339.ts'

export function historyReport({ hour, day }: Record<'hour' | 'day', HistoryView>): HistoryReport {
  return { hour: scaleReport(hour), day: scaleReport(day) }
}

function scaleReport({ everyMs, points }: HistoryView): HistoryScale {
  return { everyMs, points: points.map(pointReport) }
}

function pointReport(point: HistoryPoint): HistoryScale['points'][number] {
  const { at, served, fetched, requests, hits, failed, storeBytes } = point
  const median = manifestQuantile(point, 0.5)
  const p95 = manifestQuantile(point, 0.95)
  return {
    at: rfc3339(at),
    served,
    fetched,
    requests,
    hits,
    failed,
    manifestMs: median === undefined || p95 === undefined ? null : { median, p95 },
    storeBytes,
  }
}
