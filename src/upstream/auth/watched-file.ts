import { readFile, stat } from 'node:fs/promises'
import { errorCode } from '../../lib/error-code.ts'
import { Failure } from '../../ports/failure.ts'

const LIMIT = 1024 * 1024

/** A small file that is reloaded when it changes. */
export class WatchedFile<Value> {
  readonly #path: string
  readonly #parse: (text: string) => Value
  #loaded: { stamp: string; value: Value } | undefined

  constructor(path: string, parse: (text: string) => Value) {
    this.#path = path
    this.#parse = parse
  }

  async read(): Promise<Value> {
    try {
      const { ino, size, mtimeMs } = await stat(this.#path)
      const stamp = `${ino} ${size} ${mtimeMs}`
      if (this.#loaded?.stamp !== stamp) {
        if (size > LIMIT) throw new Failure('unavailable', `${this.#path} is longer than ${LIMIT} bytes`)
        this.#loaded = { stamp, value: this.#parse(await readFile(this.#path, 'utf8')) }
      }
      return this.#loaded.value
    } catch (error) {
      if (error instanceof Failure) throw error
      const code = errorCode(error) ?? 'unknown error'
      throw new Failure('unavailable', `${this.#path} cannot be read: ${code}`, { cause: error })
    }
  }
}
