import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { Content } from './content.ts'
import type { Row } from './report.ts'
import { Agent } from './servers/agent.ts'

export interface Settings {
  readonly quick: boolean
  /** A run writes only below this folder, which is removed at the end. */
  readonly folder: string
  /** Undefined when only the other servers are measured. */
  readonly agentEntry: string | undefined
  readonly nodeArgs: readonly string[]
}

/** The peak memory of an agent, and its group of rows. */
export interface Peak {
  readonly group: string
  readonly bytes: number
}

/** What a group of rows needs. */
export class Context {
  readonly group: string
  readonly settings: Settings
  readonly peaks: Peak[]
  readonly #report: (row: Row) => void

  constructor(group: string, settings: Settings, peaks: Peak[], report: (row: Row) => void) {
    this.group = group
    this.settings = settings
    this.peaks = peaks
    this.#report = report
  }

  get quick(): boolean {
    return this.settings.quick
  }

  /** How often each server is measured. */
  get repetitions(): number {
    return this.quick ? 3 : 7
  }

  report(row: Omit<Row, 'group'>): void {
    this.#report({ group: this.group, ...row })
  }

  /** An empty folder for one server or one set of content; `stop` removes it. */
  folder(name: string): { readonly path: string; stop(): Promise<void> } {
    const path = mkdtempSync(join(this.settings.folder, `${this.group}-${name}-`))
    return { path, stop: async () => rmSync(path, { recursive: true, force: true }) }
  }

  /**
   * Starts an agent in front of the upstream; undefined when the bench runs without the agent. `config`: more lines of its
   * configuration file.
   */
  async agent(folder: string, upstreamPort: number, config = ''): Promise<Agent | undefined> {
    const { agentEntry, nodeArgs } = this.settings
    if (agentEntry === undefined) return undefined
    return Agent.start(folder, { entry: agentEntry, nodeArgs, upstreamPort, config }, (agent) => {
      this.peaks.push({ group: this.group, bytes: agent.program.peakRss() })
    })
  }

  content(folder: string): Content {
    return new Content(join(folder, 'content'))
  }
}
