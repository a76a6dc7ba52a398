import { readFile, stat } from 'node:fs/promises'
import { errorCode } from '../../lib/error-code.ts'
import { Failure } from '../../ports/failure.ts'

const LIMIT_BYTES = 1024 * 1024

/** A small file that is reloaded when it changes. */
export class WatchedFile<Value> {
  readonly #path: string
  readonly #parse: (text: string) => Value
  #loaded: { version: string; value: Value } | undefined

  constructor(path: string, parse: (text: string) => Value) {
    this.#path = path
    this.#parse = parse
  }

  async read(): Promise<Value> {
    try {
      const { ino, size, mtimeMs } = await stat(this.#path)
      const version = `${ino} ${size} ${mtimeMs}`
      if (this.#loaded?.version !== version) {
        if (size > LIMIT_BYTES)
          throw new Failure('unavailable', `${this.#path} is longer than ${LIMIT_BYTES} bytes`)
        this.#loaded = { version, value: this.#parse(await readFile(this.#path, 'utf8')) }
      }
      return this.#loaded.value
    } catch (error) {
      if (error instanceof Failure) throw error
      const code = errorCode(error) ?? 'unknown error'
      throw new Failure('unavailable', `${this.#path} cannot be read: ${code}`, { cause: error })
    }
  }
}
