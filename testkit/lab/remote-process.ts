import { type ChildProcess, spawn } from 'node:child_process'
import type { LabMachine } from './network.ts'

/** Only a task that hangs takes so long, however busy the machine is. */
const DEADLINE_MS = 300_000
/** How much of the output of the process an error quotes. */
const OUTPUT_CHARACTERS = 4000

/** What a process can be asked to do, by name. */
export type Tasks = Readonly<Record<string, (argument: never) => Promise<unknown>>>

interface TaskRequest {
  readonly number: number
  readonly name: string
  readonly argument: unknown
}

type TaskReply = { readonly number: number } & ({ readonly result: unknown } | { readonly error: string })

/** Runs tasks in this process, several at once, until the process that started it has ended. */
export function serveTasks(tasks: Tasks): void {
  process.on('message', ({ number, name, argument }: TaskRequest) => {
    const task = tasks[name] as ((argument: unknown) => Promise<unknown>) | undefined
    if (task === undefined) throw new Error(`unknown task: ${name}`)
    task(argument).then(
      (result) => process.send?.({ number, result }),
      (error: unknown) =>
        process.send?.({ number, error: error instanceof Error ? error.message : String(error) }),
    )
  })
  process.on('disconnect', () => process.exit(0))
}

/** A process in the namespace of a machine. Its tasks are requested over IPC, which needs no network. */
export class RemoteProcess<Served extends Tasks> {
  readonly #child: ChildProcess
  readonly #exit: Promise<void>
  readonly #pending = new Map<number, { resolve(result: unknown): void; reject(error: Error): void }>()
  #requests = 0
  #output = ''

  constructor(machine: LabMachine, program: string, args: readonly string[] = []) {
    const command = ['netns', 'exec', machine.namespace, process.execPath, program, ...args]
    this.#child = spawn('ip', command, {
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      serialization: 'advanced',
    })
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.on('data', (bytes: Buffer) => {
        this.#output = (this.#output + bytes.toString()).slice(-OUTPUT_CHARACTERS)
      })
    }
    this.#child.on('message', (reply: TaskReply) => {
      const pending = this.#pending.get(reply.number)
      this.#pending.delete(reply.number)
      if ('error' in reply) pending?.reject(new Error(`${machine.label}: ${reply.error}`))
      else pending?.resolve(reply.result)
    })
    this.#exit = new Promise((resolve) => {
      const onEnd = (): void => {
        for (const { reject } of this.#pending.values()) {
          reject(new Error(`the process on ${machine.label} has ended: ${this.#output}`))
        }
        this.#pending.clear()
        resolve()
      }
      this.#child.once('error', onEnd)
      this.#child.once('close', onEnd)
    })
  }

  async ask<Name extends keyof Served & string>(
    name: Name,
    argument: Parameters<Served[Name]>[0],
    deadlineMs = DEADLINE_MS,
  ): Promise<Awaited<ReturnType<Served[Name]>>> {
    const number = this.#requests++
    let deadline: NodeJS.Timeout | undefined
    try {
      return (await new Promise((resolve, reject) => {
        deadline = setTimeout(
          () => reject(new Error(`${name} took longer than ${deadlineMs} ms`)),
          deadlineMs,
        )
        this.#pending.set(number, { resolve, reject })
        const request: TaskRequest = { number, name, argument }
        this.#child.send(request, (error) => {
          if (error !== null) reject(error)
        })
      })) as Awaited<ReturnType<Served[Name]>>
    } finally {
      clearTimeout(deadline)
      this.#pending.delete(number)
    }
  }

  async stop(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#exit
  }
}
