import { readFile, stat } from 'node:fs/promises'
import { errorCode } from './error-code.ts'

const LIMIT_BYTES = 1024 * 1024

interface ReloadedFileOptions {
  /** How long an answer of the file system is believed. */
  readonly checkMs?: number
  /** Called once for each change of the file that cannot be used. */
  readonly onProblem: (problem: string) => void
}

/**
 * A small file that is read again when it has changed. When a change cannot be used, the last good value stays in use.
 * Nothing watches the file: a call of `read` looks at it, at most once in `checkMs`.
 */
export class ReloadedFile<Value> {
  readonly #path: string
  readonly #parse: (bytes: Buffer) => Value | Promise<Value>
  readonly #checkMs: number
  readonly #onProblem: (problem: string) => void
  #version: string
  #value: Value
  #checkedAt = performance.now()
  #checking: Promise<void> | undefined

  private constructor(
    path: string,
    parse: (bytes: Buffer) => Value | Promise<Value>,
    { checkMs = 1000, onProblem }: ReloadedFileOptions,
    { version, value }: { readonly version: string; readonly value: Value },
  ) {
    this.#path = path
    this.#parse = parse
    this.#checkMs = checkMs
    this.#onProblem = onProblem
    this.#version = version
    this.#value = value
  }

  /** Rejects when the file cannot be used. `parse` throws an error whose message says what is wrong and what to do. */
  static async open<Value>(
    path: string,
    parse: (bytes: Buffer) => Value | Promise<Value>,
    options: ReloadedFileOptions,
  ): Promise<ReloadedFile<Value>> {
    const version = await versionOf(path)
    return new ReloadedFile(path, parse, options, { version, value: await parse(await contentOf(path)) })
  }

  /** Never rejects. */
  async read(): Promise<Value> {
    if (performance.now() - this.#checkedAt >= this.#checkMs) {
      this.#checking ??= this.#check().finally(() => {
        this.#checking = undefined
        this.#checkedAt = performance.now()
      })
      await this.#checking
    }
    return this.#value
  }

  async #check(): Promise<void> {
    const version = await versionOf(this.#path)
    if (version === this.#version) return
    this.#version = version
    try {
      this.#value = await this.#parse(await contentOf(this.#path))
    } catch (error) {
      const problem = error instanceof Error ? error.message : 'it cannot be read'
      this.#onProblem(`${problem}; until then the last good version of the file is used`)
    }
  }
}

/** Changes with every change of the file, also when it vanishes. */
async function versionOf(path: string): Promise<string> {
  try {
    const { ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true })
    return `${ino} ${size} ${mtimeNs} ${ctimeNs}`
  } catch (error) {
    return errorCode(error) ?? 'unknown error'
  }
}

async function contentOf(path: string): Promise<Buffer> {
  let content: Buffer
  try {
    const { size } = await stat(path)
    content = size > LIMIT_BYTES ? Buffer.alloc(0) : await readFile(path)
    if (size <= LIMIT_BYTES) return content
  } catch (cause) {
    throw new Error(`${path} cannot be read (${errorCode(cause) ?? 'unknown error'}); make it readable`, {
      cause,
    })
  }
  throw new Error(`${path} is larger than ${LIMIT_BYTES} bytes; give a smaller file`)
}
