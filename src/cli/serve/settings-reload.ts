import { readFile } from 'node:fs/promises'
import type { Agent } from '../../agent.ts'
import { settingsFile } from '../../config/given-settings.ts'
import { loadSettings, type SettingSources } from '../../config/load.ts'
import type { Settings } from '../../config/schema.ts'
import { SettingsWatch } from '../../config/settings-watch.ts'
import { SettingsError } from '../../config/values/settings-error.ts'
import { FileProblem } from '../../lib/watched-file.ts'
import { publish } from '../../observe/events.ts'
import type { Log } from '../../observe/log/log.ts'
import { agentOptions } from '../context/agent-options.ts'
import type { Terminal } from '../context/command.ts'
import { changedLive, needingRestart, withLive } from './changed-settings.ts'

interface ReloadOptions {
  readonly agent: Agent
  readonly settings: Settings
  /** Whether the settings file was there, with settings in it. */
  readonly hasFile: boolean
  readonly sources: SettingSources
  readonly log: Log
  readonly terminal: Pick<Terminal, 'env' | 'version'>
  /** After this time settings are tried again that were refused because of a file that they name; default: 10 s. */
  readonly retryMs?: number
}

const RETRY_MS = 10_000

/** Takes over changes of the settings file while the agent runs. Wrong settings change nothing. */
export class SettingsReload {
  readonly #options: ReloadOptions
  readonly #file: string
  #settings: Settings
  #watch: SettingsWatch | undefined
  #retry: NodeJS.Timeout | undefined
  #running: Promise<void> | undefined
  #isWanted = false
  #isClosed = false
  #isRetry = false
  #problem: string | undefined
  #hasFile: boolean

  constructor(options: ReloadOptions) {
    this.#options = options
    this.#file = settingsFile(options.sources).path
    this.#settings = options.settings
    this.#hasFile = options.hasFile
  }

  /** The settings that count now. */
  get settings(): Settings {
    return this.#settings
  }

  /** Begins to notice changes of the file. */
  async start(): Promise<void> {
    const onEnd = (reason: string): void => {
      // Without a folder there is no file: settings that are given in another way do not change.
      if (reason.includes('ENOENT')) return
      this.#options.log.warn('changes of the settings file are not noticed; send SIGHUP after a change', {
        reason,
      })
    }
    this.#watch = await SettingsWatch.open(this.#file, { onChange: () => this.reload(), onEnd })
    if (this.#isClosed) this.#watch.close()
    // The file may have changed since it was read for the start.
    this.reload()
  }

  /** Reads the file now, or once more when it is being read. */
  reload(): void {
    this.#isWanted = true
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined
    })
  }

  /** Resolves when nothing is being taken over any more. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#watch?.close()
    clearTimeout(this.#retry)
    await this.#running
  }

  async #run(): Promise<void> {
    while (this.#isWanted && !this.#isClosed) {
      this.#isWanted = false
      const isRetry = this.#isRetry
      this.#isRetry = false
      clearTimeout(this.#retry)
      const problem = await this.#takeOver().then(
        () => undefined,
        (error: unknown) => {
          if (error instanceof FileProblem) this.#retryLater()
          return problemText(error)
        },
      )
      if (problem === this.#problem && (isRetry || problem === undefined)) continue
      this.#problem = problem
      publish('file.checked', { file: this.#file, problem })
    }
  }

  /** A file that the settings name may be mended without a change of the settings file. */
  #retryLater(): void {
    if (this.#isClosed) return
    const again = (): void => {
      this.#isRetry = true
      this.reload()
    }
    this.#retry = setTimeout(again, this.#options.retryMs ?? RETRY_MS).unref()
  }

  async #takeOver(): Promise<void> {
    const { agent, sources, terminal, log } = this.#options
    await this.#refuseEmpty()
    const settings = await loadSettings(sources)
    const changed = changedLive(this.#settings, settings, terminal)
    const usable = withLive(this.#options.settings, settings)
    if (changed.length > 0) await agent.reload(agentOptions(usable, terminal))
    log.setLevel(settings.logLevel)
    this.#settings = settings
    const needRestart = needingRestart(this.#options.settings, settings)
    publish('settings.reloaded', { changed, needRestart })
  }

  /** A file that is empty, or gone after it was there, would mean all defaults; more likely it is being written. */
  async #refuseEmpty(): Promise<void> {
    const text = await readFile(this.#file, 'utf8').catch(() => undefined)
    if (text === undefined && this.#hasFile) throw new SettingsError(`${this.#file} cannot be read any more`)
    if (text?.trim() === '' && this.#hasFile) throw new SettingsError(`${this.#file} is empty`)
    this.#hasFile ||= text !== undefined && text.trim() !== ''
  }
}

function problemText(error: unknown): string {
  if (error instanceof SettingsError) {
    const more = error.mistakes.length - 1
    return more === 0 ? error.message : `${error.message} (and ${more} more; see agent config check)`
  }
  if (error instanceof FileProblem) return error.message
  // Nobody expected this one; its message may hold a secret.
  return 'the settings cannot be taken over because of an internal error; restart the agent'
}
