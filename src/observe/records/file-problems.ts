import { subscribe } from '../events.ts'

/**
 * What is wrong with the settings of a running agent, from construction until `close`: files that have changed so that they
 * cannot be used, and settings that need a restart.
 */
export class FileProblems {
  /** By file. The settings name the files, so there are few. */
  readonly #problems = new Map<string, string>()
  #needRestart: readonly string[] = []
  readonly #subscriptions = [
    subscribe('file.checked', ({ file, problem }) => {
      if (problem === undefined) this.#problems.delete(file)
      else this.#problems.set(file, `${problem}; its last good content is used`)
    }),
    subscribe('settings.reloaded', ({ needRestart }) => {
      this.#needRestart = needRestart
    }),
  ]

  close(): void {
    for (const unsubscribe of this.#subscriptions) unsubscribe()
  }

  /** What is wrong with these files, each a sentence. */
  of(files: readonly string[]): readonly string[] {
    return [...new Set(files)].flatMap((file) => this.#problems.get(file) ?? [])
  }

  /** Each is a sentence. */
  all(): readonly string[] {
    const names = this.#needRestart.join(', ')
    const restart = `the settings file has other values for ${names}; restart the agent to use them`
    return [...this.#problems.values(), ...(names === '' ? [] : [restart])]
  }
}
