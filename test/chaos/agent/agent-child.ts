import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { AgentOptions } from '../../../src/agent.ts'
import type { News, Order } from './agent-program.ts'

const PROGRAM = fileURLToPath(new URL('./agent-program.js', import.meta.url))
/** Only what hangs takes so long, however busy the machine is. */
const DEADLINE_MS = 120_000

/** An agent in a process of its own, to be killed. One that is made is loading already, and waits to be started. */
export class AgentChild {
  static readonly #living = new Set<AgentChild>()
  readonly #child: ChildProcess
  readonly #exit: Promise<{ code: number | null; signal: NodeJS.Signals | null }>
  readonly #listeners = new Set<(news: News) => void>()
  #gone = false
  #port: number | undefined
  #adminPort: number | undefined
  #said = ''

  /** Ends all that a file has made and that still run, also those of tests that failed before they could. */
  static async endAll(): Promise<void> {
    await Promise.all([...AgentChild.#living].map((agent) => agent.kill()))
  }

  constructor() {
    AgentChild.#living.add(this)
    this.#child = fork(PROGRAM, [], { stdio: ['ignore', 'pipe', 'pipe', 'ipc'], execArgv: [] })
    this.#exit = new Promise((resolve) => {
      this.#child.once('close', (code, signal) => {
        this.#gone = true
        AgentChild.#living.delete(this)
        resolve({ code, signal })
      })
    })
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#said += text
      })
    }
    this.#child.on('message', (news: News) => {
      for (const listener of this.#listeners) listener(news)
    })
    this.#child.on('error', () => {})
  }

  get pid(): number {
    if (this.#child.pid === undefined) throw new Error('the child has no pid')
    return this.#child.pid
  }

  /** What it has written: nothing, unless something went wrong that nobody expected. */
  get said(): string {
    return this.#said
  }

  get isGone(): boolean {
    return this.#gone
  }

  /** `host:port` of the registry API. */
  get address(): string {
    if (this.#port === undefined) throw new Error('the agent does not serve')
    return `127.0.0.1:${this.#port}`
  }

  /** Where its admin API is. */
  get admin(): string {
    if (this.#adminPort === undefined) throw new Error('the agent has no admin API')
    return `http://127.0.0.1:${this.#adminPort}`
  }

  onNews(listener: (news: News) => void): void {
    this.#listeners.add(listener)
  }

  /** False: it died while it started, as it was told to. Throws when it refuses to start. */
  async start(
    options: AgentOptions,
    { dieBefore, tellSteps = false }: { dieBefore?: number | undefined; tellSteps?: boolean } = {},
  ): Promise<boolean> {
    const started = new Promise<boolean>((resolve, reject) => {
      this.onNews((news) => {
        if (news.is === 'serving') {
          this.#port = news.port
          this.#adminPort = news.adminPort
          resolve(true)
        } else if (news.is === 'refused') reject(new Error(news.message))
      })
      void this.#exit.then(() => resolve(false))
    })
    this.#order({ do: 'start', options, dieBefore, tellSteps })
    return within(DEADLINE_MS, started, () => `an agent did not start:\n${this.#said}`)
  }

  /** `ms` ahead of what it is, or behind. */
  shiftClock(ms: number): void {
    this.#order({ do: 'shift-clock', ms })
  }

  /** Bytes that its main thread still refers to, counted when its garbage has been collected. */
  async memory(): Promise<number> {
    const counted = new Promise<number>((resolve) => {
      this.onNews((news) => news.is === 'memory' && resolve(news.bytes))
    })
    this.#order({ do: 'count-memory' })
    return within(DEADLINE_MS, counted, () => `an agent did not count its memory:\n${this.#said}`)
  }

  /** As the machine would end it: nothing in it is told. Resolves when it is gone and all its news have been heard. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.exited()
  }

  /** Its exit code after an orderly end. */
  async stop(): Promise<number | null> {
    this.#order({ do: 'stop' })
    return (await this.exited()).code
  }

  exited(): Promise<{ code: number | null; signal: NodeJS.Signals | null }> {
    return within(DEADLINE_MS, this.#exit, () => `an agent did not end:\n${this.#said}`)
  }

  #order(order: Order): void {
    if (!this.#gone) this.#child.send(order, () => {})
  }
}

/** What a promise comes to, or an error with `why` when it takes longer. */
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
