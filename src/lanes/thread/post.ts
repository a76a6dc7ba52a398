import { parentPort } from 'node:worker_threads'
import { errorCode } from '../../lib/error-code.ts'
import type { LaneReport, PostedError } from './messages.ts'

/** Posts a report to the main thread. */
export function post(report: LaneReport): void {
  parentPort?.postMessage(report)
}

/** The part of an error that the main thread needs. Of several errors, as those of several addresses, the first one. */
export function postedError(error: unknown): PostedError {
  if (error instanceof AggregateError && error.errors.length > 0) return postedError(error.errors[0])
  const message = error instanceof Error ? error.message : String(error)
  return { code: errorCode(error), message }
}
