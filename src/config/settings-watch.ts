import { type FSWatcher, watch } from 'node:fs'
import { readFile } from 'node:fs/promises'
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
 * Tells when the settings file has another content. The folder is watched, not the file: editors replace files, and Kubernetes
 * swaps a symlink in the folder of a ConfigMap. An event is only a reason to look at the content.
 */
export class SettingsWatch {
  readonly #path: string
  readonly #options: WatchOptions
  #watcher: FSWatcher | undefined
  #timer: NodeJS.Timeout | undefined
  #content: string | undefined

  private constructor(path: string, options: WatchOptions) {
    this.#path = path
    this.#options = options
  }

  /** Resolves when changes are noticed. Calls `onEnd` when the folder cannot be watched. */
  static async open(path: string, options: WatchOptions): Promise<SettingsWatch> {
    const opened = new SettingsWatch(path, options)
    opened.#watch()
    opened.#content = await contentOf(path)
    return opened
  }

  close(): void {
    clearTimeout(this.#timer)
    this.#watcher?.close()
    this.#watcher = undefined
  }

  #watch(): void {
    try {
      this.#watcher = watch(dirname(this.#path), () => this.#look())
      this.#watcher.on('error', (error) => this.#end(error.message))
    } catch (error) {
      this.#end(error instanceof Error ? error.message : String(error))
    }
  }

  #end(reason: string): void {
    this.close()
    this.#options.onEnd(reason)
  }

  #look(): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(async () => {
      const content = await contentOf(this.#path)
      if (this.#watcher === undefined || content === this.#content) return
      this.#content = content
      this.#options.onChange()
    }, this.#options.quietMs ?? QUIET_MS)
  }
}

/** Undefined when the file cannot be read. */
function contentOf(path: string): Promise<string | undefined> {
  return readFile(path, 'utf8').catch(() => undefined)
}
