import { execFile } from 'node:child_process'

const MAX_OUTPUT_BYTES = 8 * 1024 * 1024
const TIMEOUT_MS = 6_000

export type ProgramResult =
  | { readonly kind: 'output'; readonly text: string }
  /** The program is not installed, or not on the path. */
  | { readonly kind: 'absent' }
  | { readonly kind: 'failed'; readonly why: string }

/** Runs another program and returns what it prints. */
export function runProgram(
  program: string,
  args: readonly string[],
  { signal }: { signal: AbortSignal },
): Promise<ProgramResult> {
  return new Promise((resolve) => {
    const options = {
      signal,
      timeout: TIMEOUT_MS,
      maxBuffer: MAX_OUTPUT_BYTES,
      killSignal: 'SIGKILL' as const,
    }
    execFile(program, [...args], options, (error, stdout, stderr) => {
      if (error === null) resolve({ kind: 'output', text: stdout })
      else if (error.code === 'ENOENT') resolve({ kind: 'absent' })
      else resolve({ kind: 'failed', why: firstLine(stderr) ?? 'it did not end in time' })
    })
  })
}

function firstLine(text: string): string | undefined {
  return text.trim().split('\n')[0]?.slice(0, 200) || undefined
}
