import { readFileSync } from 'node:fs'

/** The time of all processors together since the boot, in ticks. */
export interface Processors {
  readonly busy: number
  readonly all: number
}

export function processors(): Processors {
  const line = readFileSync('/proc/stat', 'utf8').split('\n', 1)[0] ?? ''
  const [user = 0, nice = 0, system = 0, idle = 0, waiting = 0, hard = 0, soft = 0] = line
    .split(/ +/)
    .slice(1)
    .map(Number)
  const busy = user + nice + system + hard + soft
  return { busy, all: busy + idle + waiting }
}

/** How busy the processors were, in percent. */
export function busyBetween(before: Processors, after: Processors): number {
  return (100 * (after.busy - before.busy)) / (after.all - before.all)
}
