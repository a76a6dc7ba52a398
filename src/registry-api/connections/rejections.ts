import { publish, type Rejection } from '../../observe/events.ts'

/** Reports that a client was refused or cut off. */
export type ReportRejection = (reason: Rejection) => void

export function reportRejection(reason: Rejection): void {
  publish('http.rejected', { reason })
}
