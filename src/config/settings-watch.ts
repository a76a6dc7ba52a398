import { type FSWatcher, watch } from 'node:fs'
import { dirname } from 'node:path'

/** A program that writes a file in several steps is done when nothing has changed for this long. */
const QUIET_MS = 200

interface WatchOptions {
  readonly onChange: () => void
  /** Called when changes cannot be noticed any more. */
  readonly onEnd: (reason: string) => void
  readonly quietMs?: number
}

/**
 * Tells when the settings file may have another content. The folder is watched, not the file: editors replace files, and
 * Kubernetes swaps a symlink in the folder of a ConfigMap. Who is told compares the content.
 */
export class SettingsWatch {
  readonly #options: WatchOptions
  #watcher: FSWatcher | undefined
  #timer: NodeJS.Timeout | undefined

  /** Calls `onEnd` when the folder cannot be watched. */
  constructor(path: string, options: WatchOptions) {
    this.#options = options
    this.#watch(dirname(path))
  }

  close(): void {
    clearTimeout(this.#timer)
    this.#watcher?.close()
    this.#watcher = undefined
  }

  #watch(folder: string): void {
    try {
      this.#watcher = watch(folder, () => this.#waitForQuiet())
      this.#watcher.on('error', (error) => this.#end(error.message))
    } catch (error) {
      this.#end(error instanceof Error ? error.message : String(error))
    }
  }

  #end(reason: string): void {
    this.close()
    this.#options.onEnd(reason)
  }

  #waitForQuiet(): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.#options.onChange(), this.#options.quietMs ?? QUIET_MS)
  }
}
