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
import { changedLive, needingRestart } from './changed-settings.ts'

interface ReloadOptions {
  readonly agent: Agent
  readonly settings: Settings
  /** Whether the settings file was there, with settings in it. */
  readonly hasFile: boolean
  readonly sources: SettingSources
  readonly log: Log
  readonly terminal: Terminal
}

/** Takes over changes of the settings file while the agent runs. Wrong settings change nothing. */
export class SettingsReload {
  readonly #options: ReloadOptions
  readonly #file: string
  #settings: Settings
  #watch: SettingsWatch | undefined
  #running: Promise<void> | undefined
  #isWanted = false
  #isClosed = false
  #hasProblem = false
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
    await this.#running
  }

  async #run(): Promise<void> {
    while (this.#isWanted && !this.#isClosed) {
      this.#isWanted = false
      const problem = await this.#takeOver().then(
        () => undefined,
        (error: unknown) => problemText(error),
      )
      if (problem === undefined && !this.#hasProblem) continue
      this.#hasProblem = problem !== undefined
      publish('file.checked', { file: this.#file, problem })
    }
  }

  async #takeOver(): Promise<void> {
    const { agent, sources, terminal, log } = this.#options
    await this.#refuseEmpty()
    const settings = await loadSettings(sources)
    const changed = changedLive(this.#settings, settings, terminal)
    if (changed.length > 0) await agent.reload(agentOptions(settings, terminal))
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
