import { statSync } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'
import { now } from '../client/jobs.ts'

/** When the last of the files had appeared under its final name; undefined when that did not happen in time. */
export async function stored(files: readonly string[], withinMs = 60_000): Promise<number | undefined> {
  const giveUpAt = now() + withinMs
  let missing = files
  for (;;) {
    missing = missing.filter((file) => statSync(file, { throwIfNoEntry: false }) === undefined)
    const time = now()
    if (missing.length === 0) return time
    if (time > giveUpAt) return undefined
    await wait(2)
  }
}
