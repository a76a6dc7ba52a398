import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'

/** Only a slow machine needs so long. */
const READY_MS = 120_000
const END_MS = 90_000
/** How long the output of a process is read after its end. */
const OUTPUT_MS = 5_000

/** A server, such as a registry or the agent, as a child process. */
export class Daemon {
  readonly name: string
  readonly #child: ChildProcess
  readonly #exit: Promise<number | null>
  #output = ''

  constructor(
    name: string,
    path: string,
    args: readonly string[],
    options: { env?: Record<string, string | undefined>; cwd?: string; onLine?: (line: string) => void } = {},
  ) {
    this.name = name
    this.#child = spawn(path, args, {
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.#exit = new Promise((resolve) => {
      this.#child.once('error', (error) => {
        this.#output += `${error.message}\n`
        resolve(null)
      })
      this.#child.once('close', (code) => resolve(code))
      // Its own child processes may keep the pipes open.
      this.#child.once('exit', () => {
        setTimeout(() => {
          this.#child.stdout?.destroy()
          this.#child.stderr?.destroy()
        }, OUTPUT_MS).unref()
      })
    })
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      let rest = ''
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#output += text
        const lines = (rest + text).split('\n')
        rest = lines.pop() ?? ''
        if (options.onLine !== undefined) for (const line of lines) options.onLine(line)
      })
    }
  }

  get pid(): number | undefined {
    return this.#child.pid
  }

  /** The output on both streams. */
  get output(): string {
    return this.#output
  }

  /** Waits until `ready` returns true. Throws with the output if the daemon exits before or is not ready in time. */
  async ready(ready: () => Promise<boolean>, deadlineMs = READY_MS): Promise<void> {
    const deadline = Date.now() + deadlineMs
    while (!(await ready().catch(() => false))) {
      const { exitCode, signalCode, pid } = this.#child
      if (exitCode !== null || signalCode !== null || pid === undefined) {
        throw new Error(`${this.name} ended with ${exitCode ?? signalCode}:\n${this.#output}`)
      }
      if (Date.now() > deadline) {
        await this.stop()
        throw new Error(`${this.name} was not ready after ${deadlineMs} ms:\n${this.#output}`)
      }
      await delay(25)
    }
  }

  /** Resolves with the exit code when the daemon has ended; null if a signal has ended it. */
  exited(): Promise<number | null> {
    return this.#exit
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM', deadlineMs = END_MS): Promise<number | null> {
    this.#child.kill(signal)
    const force = setTimeout(() => this.#child.kill('SIGKILL'), deadlineMs)
    try {
      return await this.#exit
    } finally {
      clearTimeout(force)
    }
  }
}

/** A TCP port that was free a moment ago, for programs that cannot choose one themselves. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('No TCP address.')
  return address.port
}

/** Whether a GET is answered with `status`. */
export async function answers(url: string, status = 200): Promise<boolean> {
  const response = await fetch(url, { signal: AbortSignal.timeout(2_000) })
  await response.arrayBuffer()
  return response.status === status
}
