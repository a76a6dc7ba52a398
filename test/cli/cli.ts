import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

/** For a command that hangs. */
const DEADLINE_MS = 120_000

export const MAIN = fileURLToPath(new URL('../../src/main.js', import.meta.url))

export interface Ended {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

/** Runs the command line as a user would and waits for its end. */
export async function agent(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  user: { readonly uid?: number; readonly gid?: number } = {},
): Promise<Ended> {
  const child = spawn(process.execPath, [MAIN, ...args], {
    ...user,
    env: { ...env, PATH: process.env['PATH'] },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: DEADLINE_MS,
    killSignal: 'SIGKILL',
  })
  let out = ''
  let err = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    out += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    err += text
  })
  const [code] = await once(child, 'close')
  return { code, out, err }
}

export interface Serving {
  readonly registry: string
  readonly admin: string
  /** Lines of its log so far. */
  readonly lines: readonly Readonly<Record<string, unknown>>[]
  signal(name: NodeJS.Signals): void
  ended(): Promise<number | null>
  /** For what follows a test: it runs no longer, whatever has become of it. */
  kill(): Promise<void>
}

/** `agent serve` on free ports, once it says that it serves. */
export async function serving(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Serving> {
  const child = spawn(
    process.execPath,
    [MAIN, 'serve', '--listen', '127.0.0.1:0', '--admin', '127.0.0.1:0', ...args],
    {
      env: { ...env, PATH: process.env['PATH'] },
      stdio: ['ignore', 'ignore', 'pipe'],
      timeout: DEADLINE_MS,
      killSignal: 'SIGKILL',
    },
  )
  const closed = once(child, 'close')
  const lines: Record<string, unknown>[] = []
  const addresses = await new Promise<{ registry: string; admin: string }>((resolve, reject) => {
    const reader = createInterface({ input: child.stderr })
    reader.on('line', (text) => {
      if (!text.startsWith('{')) return reject(new Error(text))
      const line = JSON.parse(text)
      lines.push(line)
      if (line.message === 'serving') resolve({ registry: line.registry, admin: line.admin })
    })
    child.once('close', () => reject(new Error('it ended before it served')))
  })
  return {
    ...addresses,
    lines,
    signal: (name) => {
      child.kill(name)
    },
    ended: async () => (await closed)[0],
    kill: async () => {
      child.kill('SIGKILL')
      await closed
    },
  }
}
