import { readFile, stat } from 'node:fs/promises'
import { errorCode } from './error-code.ts'

const DEFAULT_LIMIT_BYTES = 1024 * 1024

/** Why a file cannot be used. The message names the file and never repeats its content. */
export class FileProblem extends Error {
  readonly file: string
  /** The code of the cause, such as `EACCES`, if it has one. */
  readonly code: string | undefined

  constructor(file: string, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'FileProblem'
    this.file = file
    this.code = errorCode(options?.cause)
  }
}

interface WatchedFileOptions<Value> {
  /** May throw a `FileProblem`, whose message does not repeat the content. */
  readonly parse: (text: string) => Value
  /** Called once when a file that was good before cannot be used, and with undefined once it can be again. */
  readonly onProblem?: (problem: FileProblem | undefined) => void
  /** How long a look at the file is believed; default: each read looks at it. */
  readonly checkMs?: number
  /** A longer file is not read; default: 1 MiB. */
  readonly limitBytes?: number
}

/** A small file that is read again when it has changed. While a changed file cannot be used, the last good one is. */
export class WatchedFile<Value> {
  readonly #path: string
  readonly #options: WatchedFileOptions<Value>
  #good: { readonly version: string; readonly value: Value } | undefined
  #problem: FileProblem | undefined
  #lookedAt = Number.NEGATIVE_INFINITY
  #looking: Promise<Value> | undefined

  constructor(path: string, options: WatchedFileOptions<Value>) {
    this.#path = path
    this.#options = options
  }

  /** Rejects with a `FileProblem` if the file could never be used. */
  read(): Promise<Value> {
    const { checkMs } = this.#options
    if (checkMs === undefined) return this.#look()
    const isFresh = performance.now() - this.#lookedAt < checkMs
    if (isFresh && this.#good !== undefined) return Promise.resolve(this.#good.value)
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined
      this.#lookedAt = performance.now()
    })
    return this.#looking
  }

  async #look(): Promise<Value> {
    try {
      const { ino, size, mtimeMs } = await stat(this.#path)
      const version = `${ino} ${size} ${mtimeMs}`
      if (this.#good?.version !== version) {
        const { limitBytes = DEFAULT_LIMIT_BYTES } = this.#options
        if (size > limitBytes)
          throw new FileProblem(this.#path, `${this.#path} is longer than ${limitBytes} bytes`)
        this.#good = { version, value: this.#options.parse(await readFile(this.#path, 'utf8')) }
      }
      this.#note(undefined)
      return this.#good.value
    } catch (error) {
      const problem = problemOf(this.#path, error)
      if (this.#good === undefined) throw problem
      this.#note(problem)
      return this.#good.value
    }
  }

  #note(problem: FileProblem | undefined): void {
    if (problem?.message === this.#problem?.message) return
    this.#problem = problem
    this.#options.onProblem?.(problem)
  }
}

function problemOf(path: string, error: unknown): FileProblem {
  if (error instanceof FileProblem) return error
  const code = errorCode(error)
  if (code === undefined) throw error
  const advice = code === 'EACCES' || code === 'EPERM' ? '; let the user of the agent read it' : ''
  return new FileProblem(path, `${path} cannot be read: ${code}${advice}`, { cause: error })
}
