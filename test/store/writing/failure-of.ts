import type { Incoming } from '../../../src/ports/blob-store.ts'

/** Resolves with the failure that the progress listener gets. */
export function failureOf(incoming: Incoming): Promise<Error> {
  return new Promise((resolve) => {
    incoming.onProgress((failure) => {
      if (failure !== undefined) resolve(failure)
    })
  })
}
