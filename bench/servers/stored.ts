import { statSync } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'
import { now } from '../client/jobs.ts'

/** Waits until all files have appeared under their final names. Returns the time; undefined when it takes too long. */
export async function untilStored(files: readonly string[], withinMs = 60_000): Promise<number | undefined> {
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
