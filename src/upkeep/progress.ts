/** A line of progress is due this often, so that clients see that the task goes on. */
export const PROGRESS_INTERVAL_MS = 500

/** How much content a task has processed. */
export interface Totals {
  blobs: number
  bytes: number
}
