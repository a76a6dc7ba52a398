import { readFile } from 'node:fs/promises'
import type { ReloadableAgent } from '../../agent.ts'
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
  readonly agent: ReloadableAgent
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
/** No content of a file is equal to it. */
const UNREAD = Symbol('unread')

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
  /** The content that was taken over or refused last; undefined when there was no file. */
  #text: string | undefined | typeof UNREAD = UNREAD

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
  start(): void {
    const onEnd = (reason: string): void => {
      // Without a folder there is no file: settings that are given in another way do not change.
      if (reason.includes('ENOENT')) return
      this.#options.log.warn('changes of the settings file are not noticed; send SIGHUP after a change', {
        reason,
      })
    }
    this.#watch = new SettingsWatch(this.#file, { onChange: () => this.#look(), onEnd })
    // The file may have changed since it was read for the start.
    this.reload()
  }

  /**
   * Takes over the file now, or once more when it is being taken over, also if its content is the same. Does nothing before
   * the start, which takes over the file.
   */
  reload(): void {
    if (this.#watch === undefined) return
    this.#text = UNREAD
    this.#look()
  }

  /** Takes over the file if its content is another one. */
  #look(): void {
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
      const text = await this.#read()
      if (text === this.#text) continue
      this.#text = text
      const isRetry = this.#isRetry
      this.#isRetry = false
      clearTimeout(this.#retry)
      const [loaded] = await Promise.allSettled([this.#load(text)])
      // A program that writes the file meanwhile may have emptied it for a moment, which would mean all defaults.
      if ((await this.#read()) !== text) {
        this.reload()
        continue
      }
      const problem = await this.#takeOver(loaded)
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

  /** Rejects for a file that is empty, or gone after it was there: it would mean all defaults, and is more likely being written. */
  async #load(text: string | undefined): Promise<Settings> {
    if (text === undefined && this.#hasFile) throw new SettingsError(`${this.#file} cannot be read any more`)
    if (text?.trim() === '' && this.#hasFile) throw new SettingsError(`${this.#file} is empty`)
    this.#hasFile ||= text !== undefined && text.trim() !== ''
    return loadSettings(this.#options.sources)
  }

  /** Resolves with what is wrong with the settings, if something is. */
  async #takeOver(loaded: PromiseSettledResult<Settings>): Promise<string | undefined> {
    try {
      if (loaded.status === 'rejected') throw loaded.reason
      await this.#apply(loaded.value)
      return undefined
    } catch (error) {
      if (error instanceof FileProblem) this.#retryLater()
      return problemText(error)
    }
  }

  async #apply(settings: Settings): Promise<void> {
    const { agent, terminal, log } = this.#options
    const changed = changedLive(this.#settings, settings, terminal)
    const usable = withLive(this.#options.settings, settings)
    if (changed.length > 0) await agent.reload(agentOptions(usable, terminal))
    log.setLevel(settings.logLevel)
    this.#settings = settings
    publish('settings.reloaded', { changed, needRestart: needingRestart(this.#options.settings, settings) })
  }

  #read(): Promise<string | undefined> {
    return readFile(this.#file, 'utf8').catch(() => undefined)
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
