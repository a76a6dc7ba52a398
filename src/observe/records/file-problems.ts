import { subscribe } from '../events.ts'

/** Files of the settings that have changed so that they cannot be used, from construction until `close`. */
export class FileProblems {
  /** By file. The settings name the files, so there are few. */
  readonly #problems = new Map<string, string>()
  readonly #unsubscribe = subscribe('file.checked', ({ file, problem }) => {
    if (problem === undefined) this.#problems.delete(file)
    else this.#problems.set(file, `${problem}; its last good content is used`)
  })

  close(): void {
    this.#unsubscribe()
  }

  /** Each is a sentence. */
  all(): readonly string[] {
    return [...this.#problems.values()]
  }
}
