import { subscribe } from '../events.ts'

/** A node on which pods start asks for an image within this time. */
const QUIET_MS = 60 * 60 * 1000

/**
 * Calls `report` once if no client asks for a manifest or a blob in the first hour. Returns the function that ends the
 * subscription.
 */
export function whenNothingIsPulled(report: () => void): () => void {
  const unsubscribe = subscribe('request.ended', ({ reference }) => {
    if (reference !== undefined) end()
  })
  const timer = setTimeout(() => {
    unsubscribe()
    report()
  }, QUIET_MS).unref()
  const end = (): void => {
    unsubscribe()
    clearTimeout(timer)
  }
  return end
}
