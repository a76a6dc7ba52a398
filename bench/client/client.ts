import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Done, Download, Downloaded, Job, Load, Loaded } from './jobs.ts'

const JOB_WITHIN_MS = 180_000

type Reply = { readonly done: Done } | { readonly error: string }

/** The bench's end of the client process. */
export class Client {
  readonly #child: ChildProcess

  constructor() {
    this.#child = fork(fileURLToPath(new URL('./client-process.js', import.meta.url)), {
      serialization: 'advanced',
    })
  }

  /** All at once, each on a connection of its own. */
  async download(downloads: readonly Download[]): Promise<readonly Downloaded[]> {
    const done = await this.#ask({ download: downloads })
    if (!('downloaded' in done)) throw new Error('the client process answered something else')
    return done.downloaded
  }

  async load(load: Load): Promise<Loaded> {
    const done = await this.#ask({ load })
    if (!('loaded' in done)) throw new Error('the client process answered something else')
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
        clearTimeout(late)
        this.#child.off('message', onMessage)
        this.#child.off('exit', onExit)
        settle()
      }
      const onMessage = (reply: Reply): void => {
        end(() => ('done' in reply ? resolve(reply.done) : reject(new Error(reply.error))))
      }
      const onExit = (): void => end(() => reject(new Error('the client process ended')))
      const late = setTimeout(() => {
        end(() => reject(new Error(`a client job took longer than ${JOB_WITHIN_MS / 1000} s`)))
        this.#child.kill('SIGKILL')
      }, JOB_WITHIN_MS)
      this.#child.on('message', onMessage)
      this.#child.on('exit', onExit)
      this.#child.send(job)
    })
  }
}
