import { spawnSync } from 'node:child_process'

const DEADLINE_MS = 600_000

/** Runs a program to its end and gives its output. Throws with what it says when it fails. */
export function runProgram(program: string, args: readonly string[], cwd: string): string {
  const { status, stdout, stderr, error } = spawnSync(program, args, {
    cwd,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
    timeout: DEADLINE_MS,
  })
  if (status === 0) return stdout
  throw new Error(`${[program, ...args].join(' ')} has failed: ${error?.message ?? stderr}`, { cause: error })
}
