import { readFileSync } from 'node:fs'

const TICKS_PER_SECOND = 100

/** The processor time and the memory of a process. */
export interface Usage {
  /** User and system time of all threads so far. */
  readonly cpuSeconds: number
  /** Resident memory now, in bytes. */
  readonly resident: number
  /** The most resident memory so far, in bytes. */
  readonly peak: number
}

export function usageOf(pid: number | undefined): Usage {
  if (pid === undefined) throw new Error('the process does not run')
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
