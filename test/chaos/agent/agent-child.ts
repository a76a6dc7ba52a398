import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { AgentOptions } from '../../../src/agent.ts'
import type { AgentCommand, AgentMessage } from './agent-program.ts'

const PROGRAM = fileURLToPath(new URL('./agent-program.js', import.meta.url))
/** Only an agent that hangs takes so long, however busy the machine is. */
const DEADLINE_MS = 120_000

/** An agent in a process of its own. The process loads the code of the agent at once, and waits for `start`. */
export class AgentChild {
  static readonly #running = new Set<AgentChild>()
  readonly #child: ChildProcess
  readonly #exit: Promise<{ code: number | null; signal: NodeJS.Signals | null }>
  readonly #listeners = new Set<(message: AgentMessage) => void>()
  #hasEnded = false
  #port: number | undefined
  #adminPort: number | undefined
  #output = ''

  /** Kills all agents of this test file that still run, also those that a failed test has left. */
  static async endAll(): Promise<void> {
    await Promise.all([...AgentChild.#running].map((agent) => agent.kill()))
  }

  constructor() {
    AgentChild.#running.add(this)
    this.#child = fork(PROGRAM, [], { stdio: ['ignore', 'pipe', 'pipe', 'ipc'], execArgv: [] })
    this.#exit = new Promise((resolve) => {
      this.#child.once('close', (code, signal) => {
        this.#hasEnded = true
        AgentChild.#running.delete(this)
        resolve({ code, signal })
      })
    })
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#output += text
      })
    }
    this.#child.on('message', (message: AgentMessage) => {
      for (const listener of this.#listeners) listener(message)
    })
    this.#child.on('error', () => {})
  }

  get pid(): number {
    if (this.#child.pid === undefined) throw new Error('the child has no pid')
    return this.#child.pid
  }

  /** The output of the process, which is empty unless there was an unexpected error. */
  get output(): string {
    return this.#output
  }

  get hasEnded(): boolean {
    return this.#hasEnded
  }

  /** `host:port` of the registry API. */
  get address(): string {
    if (this.#port === undefined) throw new Error('the agent does not serve')
    return `127.0.0.1:${this.#port}`
  }

  /** The URL of the admin API. */
  get admin(): string {
    if (this.#adminPort === undefined) throw new Error('the agent has no admin API')
    return `http://127.0.0.1:${this.#adminPort}`
  }

  onMessage(listener: (message: AgentMessage) => void): void {
    this.#listeners.add(listener)
  }

  /** Returns whether the agent serves; false when the process was killed during the start. Throws when the start fails. */
  async start(
    options: AgentOptions,
    {
      killBeforeStep,
      reportSteps = false,
    }: { killBeforeStep?: number | undefined; reportSteps?: boolean } = {},
  ): Promise<boolean> {
    const started = new Promise<boolean>((resolve, reject) => {
      this.onMessage((message) => {
        if (message.is === 'serving') {
          this.#port = message.port
          this.#adminPort = message.adminPort
          resolve(true)
        } else if (message.is === 'start-failed') reject(new Error(message.message))
      })
      void this.#exit.then(() => resolve(false))
    })
    this.#send({ do: 'start', options, killBeforeStep, reportSteps })
    return within(DEADLINE_MS, started, () => `an agent did not start:\n${this.#output}`)
  }

  /** Sets the agent's clock ahead of the real one by `ms`, or behind. */
  shiftClock(ms: number): void {
    this.#send({ do: 'shift-clock', ms })
  }

  /** The bytes that the main thread refers to after garbage collection. */
  async memory(): Promise<number> {
    const counted = new Promise<number>((resolve) => {
      this.onMessage((message) => message.is === 'memory' && resolve(message.bytes))
    })
    this.#send({ do: 'count-memory' })
    return within(DEADLINE_MS, counted, () => `an agent did not count its memory:\n${this.#output}`)
  }

  /** Kills the process. Resolves when it has ended and all its messages were received. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.exited()
  }

  /** Drains the agent and returns the exit code. */
  async stop(): Promise<number | null> {
    this.#send({ do: 'stop' })
    return (await this.exited()).code
  }

  exited(): Promise<{ code: number | null; signal: NodeJS.Signals | null }> {
    return within(DEADLINE_MS, this.#exit, () => `an agent did not end:\n${this.#output}`)
  }

  #send(command: AgentCommand): void {
    if (!this.#hasEnded) this.#child.send(command, () => {})
  }
}

/** The result of the promise, or an error with the text of `why` when the promise takes longer. */
async function within<Result>(ms: number, promise: Promise<Result>, why: () => string): Promise<Result> {
  const late = new AbortController()
  const timer = setTimeout(() => late.abort(), ms)
  try {
    return await Promise.race([
      promise,
      once(late.signal, 'abort').then(() => {
        throw new Error(why())
      }),
    ])
  } finally {
    clearTimeout(timer)
  }
}
