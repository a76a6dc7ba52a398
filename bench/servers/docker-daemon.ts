import { execFile } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { findProgram, Program } from '../program.ts'

const run = promisify(execFile)
const MOST_OUTPUT_BYTES = 16 << 20

export const MISSING_DOCKER = 'dockerd and docker are not installed, or this user is not root'

/** A Docker daemon of its own, without networks. */
export class DockerDaemon {
  /** As `docker` under `sources` names it. */
  readonly host: string
  readonly program: Program
  readonly #docker: string

  /** Undefined where it is not installed, or may not be started. */
  static async start(folder: string): Promise<DockerDaemon | undefined> {
    const dockerd = findProgram('dockerd')
    const docker = findProgram('docker')
    if (dockerd === undefined || docker === undefined || process.getuid?.() !== 0) return undefined
    mkdirSync(folder, { recursive: true })
    const host = `unix://${join(folder, 'docker.sock')}`
    const options = [
      ...['--host', host, '--pidfile', join(folder, 'docker.pid')],
      ...['--data-root', join(folder, 'root'), '--exec-root', join(folder, 'exec')],
      ...['--iptables=false', '--ip6tables=false', '--bridge=none', '--storage-driver', 'vfs'],
    ]
    const isReady = (): Promise<boolean> =>
      run(docker, ['--host', host, 'version']).then(
        () => true,
        () => false,
      )
    return new DockerDaemon(host, await Program.start('dockerd', dockerd, options, isReady), docker)
  }

  private constructor(host: string, program: Program, docker: string) {
    this.host = host
    this.program = program
    this.#docker = docker
  }

  async docker(...args: string[]): Promise<string> {
    const options = { maxBuffer: MOST_OUTPUT_BYTES }
    return (await run(this.#docker, ['--host', this.host, ...args], options)).stdout
  }

  stop(): Promise<void> {
    return this.program.stop()
  }
}
