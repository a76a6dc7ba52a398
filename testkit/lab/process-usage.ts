import { readFileSync } from 'node:fs'

const TICKS_PER_SECOND = 100

/** What a process has cost so far. */
export interface Usage {
  /** User and system time of all its threads. */
  readonly cpuSeconds: number
  /** Resident now, in bytes. */
  readonly resident: number
  /** The most it ever had resident, in bytes. */
  readonly peak: number
}

export function usageOf(pid: number | undefined): Usage {
  if (pid === undefined) throw new Error('it does not run')
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const bytes = (field: string): number =>
    Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0) * 1024
  return {
    cpuSeconds: (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND,
    resident: bytes('VmRSS'),
    peak: bytes('VmHWM'),
  }
}
