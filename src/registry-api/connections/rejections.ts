import { publish, type Rejection } from '../../observe/events.ts'

/** Tells that a client was refused, or cut off. */
export type Reject = (reason: Rejection) => void

export function reject(reason: Rejection): void {
  publish('http.rejected', { reason })
}
