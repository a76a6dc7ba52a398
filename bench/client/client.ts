import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Done, Download, Downloaded, Job, Load, Loaded } from './jobs.ts'

const MAX_JOB_MS = 180_000

type Reply = { readonly done: Done } | { readonly error: string }

/** Starts the client process and gives it jobs. */
export class Client {
  readonly #child: ChildProcess

  constructor() {
    this.#child = fork(fileURLToPath(new URL('./client-process.js', import.meta.url)), {
      serialization: 'advanced',
    })
  }

  /** Downloads everything at once, each on a connection of its own. */
  async download(downloads: readonly Download[]): Promise<readonly Downloaded[]> {
    const done = await this.#ask({ download: downloads })
    if (!('downloaded' in done)) throw new Error('the client process sent an unexpected answer')
    return done.downloaded
  }

  async load(load: Load): Promise<Loaded> {
    const done = await this.#ask({ load })
    if (!('loaded' in done)) throw new Error('the client process sent an unexpected answer')
    return done.loaded
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const closed = new Promise((resolve) => this.#child.once('close', resolve))
    this.#child.kill('SIGKILL')
    await closed
  }

  #ask(job: Job): Promise<Done> {
    return new Promise((resolve, reject) => {
      const end = (settle: () => void): void => {
        clearTimeout(deadline)
        this.#child.off('message', onMessage)
        this.#child.off('exit', onExit)
        settle()
      }
      const onMessage = (reply: Reply): void => {
        end(() => ('done' in reply ? resolve(reply.done) : reject(new Error(reply.error))))
      }
      const onExit = (): void => end(() => reject(new Error('the client process ended')))
      const deadline = setTimeout(() => {
        end(() => reject(new Error(`a client job took longer than ${MAX_JOB_MS / 1000} s`)))
        this.#child.kill('SIGKILL')
      }, MAX_JOB_MS)
      this.#child.on('message', onMessage)
      this.#child.on('exit', onExit)
      this.#child.send(job)
    })
  }
}
