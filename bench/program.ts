import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { get } from 'node:http'
import { createServer } from 'node:net'
import { delimiter, join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'

const TICKS_PER_SECOND = 100
const READY_MS = 20_000
const STOP_MS = 15_000

const running = new Set<Program>()

/** Kills all running programs, when a signal ends the bench. */
export function killAll(): void {
  for (const program of running) program.kill()
}

/** Daemons are in sbin, which is not in the PATH of an ordinary user. */
export function findProgram(name: string): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin']
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path))
}

export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  if (address === null || typeof address === 'string') throw new Error('no free port on 127.0.0.1')
  return address.port
}

/** A measured server: one process, including its children. */
export class Program {
  readonly name: string
  readonly #child: ChildProcess
  #output = ''

  /** `ready`: a URL that answers 200, or a check, once the program serves. */
  static async start(
    name: string,
    command: string,
    args: readonly string[],
    ready: string | (() => Promise<boolean>),
  ): Promise<Program> {
    const program = new Program(name, command, args)
    try {
      await program.#ready(ready)
    } catch (error) {
      await program.stop()
      throw error
    }
    return program
  }

  private constructor(name: string, command: string, args: readonly string[]) {
    this.name = name
    this.#child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    running.add(this)
    this.#child.once('close', () => running.delete(this))
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.on('data', (bytes: Buffer) => {
        this.#output = (this.#output + bytes.toString()).slice(-2000)
      })
    }
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  get ended(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null
  }

  /** User and system time of all threads, in seconds. */
  cpuSeconds(): number {
    return this.#pids().reduce((sum, pid) => sum + secondsIn(`/proc/${pid}/stat`), 0)
  }

  /** The same for the main thread of the process itself, and for its other threads together. */
  threadSeconds(): { readonly main: number; readonly others: number } {
    const folder = `/proc/${this.pid}/task`
    let main = 0
    let all = 0
    for (const task of readdirSync(folder)) {
      // A thread may have ended meanwhile.
      const seconds = existsSync(`${folder}/${task}/stat`) ? secondsIn(`${folder}/${task}/stat`) : 0
      all += seconds
      if (Number(task) === this.pid) main = seconds
    }
    return { main, others: all - main }
  }

  /** Resident memory now, in bytes. */
  rss(): number {
    return this.#memory('VmRSS')
  }

  /** Resident memory without mapped files, in bytes. */
  ownRss(): number {
    return this.#memory('RssAnon')
  }

  /** The most resident memory so far, in bytes. */
  peakRss(): number {
    return this.#memory('VmHWM')
  }

  async stop(): Promise<void> {
    if (this.ended) return
    const closed = new Promise((resolve) => this.#child.once('close', resolve))
    this.#child.kill('SIGTERM')
    const deadline = setTimeout(() => this.kill(), STOP_MS)
    await closed
    clearTimeout(deadline)
  }

  /** Kills the children too, because those of nginx would continue without it. */
  kill(): void {
    try {
      for (const pid of this.#pids()) process.kill(pid, 'SIGKILL')
    } catch {
      // A process has ended in the meantime.
    }
  }

  #pids(): number[] {
    if (this.ended)
      throw new Error(`${this.name} has ended unexpectedly: ${this.#output.trim() || 'no output'}`)
    const children = readFileSync(`/proc/${this.pid}/task/${this.pid}/children`, 'utf8')
    return [this.pid, ...children.split(' ').filter(Boolean).map(Number)]
  }

  #memory(field: string): number {
    return this.#pids().reduce((sum, pid) => {
      const status = readFileSync(`/proc/${pid}/status`, 'utf8')
      return sum + Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0) * 1024
    }, 0)
  }

  async #ready(ready: string | (() => Promise<boolean>)): Promise<void> {
    const isReady = typeof ready === 'string' ? async () => (await statusOf(ready)) === 200 : ready
    const giveUpAt = performance.now() + READY_MS
    while (!this.ended && performance.now() < giveUpAt) {
      if (await isReady()) return
      await wait(20)
    }
    const where = typeof ready === 'string' ? ` at ${ready}` : ''
    throw new Error(`${this.name} did not become ready${where}: ${this.#output.trim() || 'no output'}`)
  }
}

/** User and system time in a `stat` file of /proc. */
function secondsIn(path: string): number {
  const stat = readFileSync(path, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
}

function statusOf(url: string): Promise<number | undefined> {
  return new Promise((resolve) => {
    const request = get(url, { agent: false, timeout: 1000 }, (response) => {
      response.resume()
      resolve(response.statusCode)
    })
    request.on('timeout', () => request.destroy())
    request.on('error', () => resolve(undefined))
  })
}
