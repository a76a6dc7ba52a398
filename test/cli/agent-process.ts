import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

/** A command that hangs is killed after this time. */
const DEADLINE_MS = 120_000

export const MAIN = fileURLToPath(new URL('../../src/main.js', import.meta.url))

export interface CommandResult {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

/** Runs the command line in a process of its own and waits for its end. */
export async function runAgent(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  user: { readonly uid?: number; readonly gid?: number } = {},
): Promise<CommandResult> {
  const child = spawn(process.execPath, [MAIN, ...args], {
    ...user,
    // How full the disk of this machine is must not matter.
    env: { LEAT_MIN_FREE: '0', ...env, PATH: process.env['PATH'] },
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

export interface ServingAgent {
  readonly registry: string
  readonly admin: string
  /** The log lines so far. */
  readonly logLines: readonly Readonly<Record<string, unknown>>[]
  signal(name: NodeJS.Signals): void
  ended(): Promise<number | null>
  /** For the cleanup of a test: ends the process, whatever state it is in. */
  kill(): Promise<void>
}

/** Starts `agent serve` on free ports and waits until it serves. */
export async function startServing(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<ServingAgent> {
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
  const logLines: Record<string, unknown>[] = []
  const addresses = await new Promise<{ registry: string; admin: string }>((resolve, reject) => {
    const reader = createInterface({ input: child.stderr })
    reader.on('line', (text) => {
      if (!text.startsWith('{')) return reject(new Error(text))
      const line = JSON.parse(text)
      logLines.push(line)
      if (line.message === 'serving') resolve({ registry: line.registry, admin: line.admin })
    })
    child.once('close', () => reject(new Error('the agent ended before it served')))
  })
  return {
    ...addresses,
    logLines,
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
