import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort, Program } from '../program.ts'
import { hex, type MeasuredServer, REPOSITORY } from './measured-server.ts'

export const NAMESPACE = 'bench.local'

export interface AgentOptions {
  /** The built entry point, `dist/main.js`. */
  readonly entry: string
  readonly nodeArgs: readonly string[]
  readonly upstreamPort: number
  /** More lines of the configuration file. */
  readonly config?: string
}

/** The agent as a user starts it. */
export class Agent implements MeasuredServer {
  readonly name = 'leat'
  readonly port: number
  readonly adminPort: number
  readonly program: Program
  /** The data folder. */
  readonly data: string
  readonly #onStop: (agent: Agent) => void

  static async start(
    folder: string,
    options: AgentOptions,
    onStop: (agent: Agent) => void = () => {},
  ): Promise<Agent> {
    const port = await freePort()
    const adminPort = await freePort()
    const data = join(folder, 'data')
    const config = join(folder, 'config.yaml')
    mkdirSync(folder, { recursive: true })
    writeFileSync(config, configuration(options.upstreamPort) + (options.config ?? ''))
    const flags = ['--listen', `127.0.0.1:${port}`, '--admin', `127.0.0.1:${adminPort}`, '--data', data]
    const program = await Program.start(
      'leat',
      process.execPath,
      [...options.nodeArgs, options.entry, 'serve', ...flags, '--config', config],
      `http://127.0.0.1:${adminPort}/readyz`,
    )
    return new Agent(port, adminPort, program, data, onStop)
  }

  private constructor(
    port: number,
    adminPort: number,
    program: Program,
    data: string,
    onStop: (agent: Agent) => void,
  ) {
    this.port = port
    this.adminPort = adminPort
    this.program = program
    this.data = data
    this.#onStop = onStop
  }

  blobPath(digest: string, repository = REPOSITORY): string {
    return `/v2/${repository}/blobs/${digest}?ns=${NAMESPACE}`
  }

  manifestPath(digest: string): string {
    return `/v2/${REPOSITORY}/manifests/${digest}?ns=${NAMESPACE}`
  }

  storedFile(digest: string): string {
    const name = hex(digest)
    return join(this.data, 'blobs/sha256', name.slice(0, 2), name)
  }

  async stop(): Promise<void> {
    if (!this.program.ended) this.#onStop(this)
    await this.program.stop()
  }
}

function configuration(upstreamPort: number): string {
  return `logLevel: warn
upstreams:
  - namespace: ${NAMESPACE}
    host: 127.0.0.1:${upstreamPort}
    tls: false
`
}
