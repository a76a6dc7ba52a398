import { execFile } from 'node:child_process'

const MOST_OUTPUT = 8 * 1024 * 1024
const MOST_MS = 6_000

export type Told =
  | { readonly kind: 'text'; readonly text: string }
  /** It is not on this machine, or not on the path. */
  | { readonly kind: 'absent' }
  | { readonly kind: 'failed'; readonly why: string }

/** What a program of others prints. */
export function askProgram(
  program: string,
  args: readonly string[],
  { signal }: { signal: AbortSignal },
): Promise<Told> {
  return new Promise((resolve) => {
    const options = { signal, timeout: MOST_MS, maxBuffer: MOST_OUTPUT, killSignal: 'SIGKILL' as const }
    execFile(program, [...args], options, (error, out, complaint) => {
      if (error === null) resolve({ kind: 'text', text: out })
      else if (error.code === 'ENOENT') resolve({ kind: 'absent' })
      else resolve({ kind: 'failed', why: firstLine(complaint) ?? 'it did not end in time' })
    })
  })
}

function firstLine(text: string): string | undefined {
  return text.trim().split('\n')[0]?.slice(0, 200) || undefined
}
