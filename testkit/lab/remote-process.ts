import { type ChildProcess, spawn } from 'node:child_process'
import type { Place } from './network.ts'

/** Only what hangs takes so long, however busy the machine is. */
const DEADLINE_MS = 300_000

/** What a process can be asked to do. */
export type Skills = Readonly<Record<string, (what: never) => Promise<unknown>>>

interface Order {
  readonly number: number
  readonly name: string
  readonly what: unknown
}

type Reply = { readonly number: number } & ({ readonly done: unknown } | { readonly error: string })

/** The side of the process: does what it is asked, also several things at once, until whoever started it is gone. */
export function obey(skills: Skills): void {
  process.on('message', ({ number, name, what }: Order) => {
    const skill = skills[name] as ((what: unknown) => Promise<unknown>) | undefined
    if (skill === undefined) throw new Error(`nobody has taught it to ${name}`)
    skill(what).then(
      (done) => process.send?.({ number, done }),
      (error: unknown) =>
        process.send?.({ number, error: error instanceof Error ? error.message : String(error) }),
    )
  })
  process.on('disconnect', () => process.exit(0))
}

/** The side of the lab: a process at a place, spoken to by a channel that is no network. */
export class Remote<Taught extends Skills> {
  readonly #child: ChildProcess
  readonly #exit: Promise<void>
  readonly #waiting = new Map<number, { resolve(done: unknown): void; reject(error: Error): void }>()
  #orders = 0
  #said = ''

  constructor(place: Place, program: string, args: readonly string[] = []) {
    const command = ['netns', 'exec', place.namespace, process.execPath, program, ...args]
    this.#child = spawn('ip', command, {
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      serialization: 'advanced',
    })
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.on('data', (bytes: Buffer) => {
        this.#said = (this.#said + bytes.toString()).slice(-4000)
      })
    }
    this.#child.on('message', (reply: Reply) => {
      const waiting = this.#waiting.get(reply.number)
      this.#waiting.delete(reply.number)
      if ('error' in reply) waiting?.reject(new Error(`${place.label}: ${reply.error}`))
      else waiting?.resolve(reply.done)
    })
    this.#exit = new Promise((resolve) => {
      const gone = (): void => {
        for (const { reject } of this.#waiting.values()) {
          reject(new Error(`the helper at ${place.label} has ended: ${this.#said}`))
        }
        this.#waiting.clear()
        resolve()
      }
      this.#child.once('error', gone)
      this.#child.once('close', gone)
    })
  }

  async ask<Name extends keyof Taught & string>(
    name: Name,
    what: Parameters<Taught[Name]>[0],
    deadlineMs = DEADLINE_MS,
  ): Promise<Awaited<ReturnType<Taught[Name]>>> {
    const number = this.#orders++
    let late: NodeJS.Timeout | undefined
    try {
      return (await new Promise((resolve, reject) => {
        late = setTimeout(() => reject(new Error(`${name} took longer than ${deadlineMs} ms`)), deadlineMs)
        this.#waiting.set(number, { resolve, reject })
        const order: Order = { number, name, what }
        this.#child.send(order, (error) => {
          if (error !== null) reject(error)
        })
      })) as Awaited<ReturnType<Taught[Name]>>
    } finally {
      clearTimeout(late)
      this.#waiting.delete(number)
    }
  }

  async stop(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#exit
  }
}
