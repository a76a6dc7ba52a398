import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { answers, Daemon, freePort } from './daemon.ts'

/** How often a start is tried with new ports, because another process can take a port that was free. */
const MAX_STARTS = 5

const MAIN = fileURLToPath(new URL('../src/main.js', import.meta.url))

/** The agent as users run it: a process with a configuration file, on loopback ports that stay the same after a restart. */
export class AgentProcess {
  readonly folder: string
  readonly port: number
  readonly adminPort: number
  #daemon: Daemon | undefined

  static async start(folder: string, config: string): Promise<AgentProcess> {
    await mkdir(folder, { recursive: true })
    for (let left = MAX_STARTS - 1; ; left -= 1) {
      const agent = new AgentProcess(folder, await freePort(), await freePort())
      try {
        await agent.start(config)
        return agent
      } catch (error) {
        if (left === 0 || !agent.output.includes('is already in use')) throw error
      }
    }
  }

  private constructor(folder: string, port: number, adminPort: number) {
    this.folder = folder
    this.port = port
    this.adminPort = adminPort
  }

  /** `host:port` of the registry API. */
  get address(): string {
    return `127.0.0.1:${this.port}`
  }

  get admin(): string {
    return `http://127.0.0.1:${this.adminPort}`
  }

  get pid(): number {
    const pid = this.#daemon?.pid
    if (pid === undefined) throw new Error('the agent does not run')
    return pid
  }

  /** The log and all other output. */
  get output(): string {
    return this.#daemon?.output ?? ''
  }

  /** Starts the agent again on the same ports and data, after `stop`. */
  async start(config: string): Promise<void> {
    const file = join(this.folder, 'config.yaml')
    await writeFile(file, config)
    this.#daemon = new Daemon(
      'the agent',
      process.execPath,
      [
        MAIN,
        'serve',
        ...['--listen', this.address],
        ...['--admin', `127.0.0.1:${this.adminPort}`],
        ...['--data', join(this.folder, 'data')],
        ...['--config', file],
        ...['--log-level', 'debug'],
      ],
      { env: withoutSettings() },
    )
    await this.#daemon.ready(() => answers(`${this.admin}/readyz`))
  }

  signal(name: NodeJS.Signals): void {
    const pid = this.#daemon?.pid
    if (pid !== undefined) process.kill(pid, name)
  }

  /** Drains the agent and returns its exit code. */
  async stop(): Promise<number | null | undefined> {
    return await this.#daemon?.stop()
  }
}

/**
 * Removes the settings of the shell that runs the tests from the environment of an agent, and lets it use the disk however
 * full that is.
 */
export function withoutSettings(): Record<string, string | undefined> {
  const names = Object.keys(process.env).filter((name) => name.startsWith('LEAT_'))
  const unset = [...names, 'UPSTREAM_CREDENTIALS', 'NODE_OPTIONS'].map((name) => [name, undefined])
  return { ...Object.fromEntries(unset), LEAT_MIN_FREE: '0' }
}
