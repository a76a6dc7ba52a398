import assert from 'node:assert/strict'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { addCleanup } from '../../../testkit/cleanup.ts'
import { Daemon } from '../../../testkit/daemon.ts'
import { run, tryRun } from '../../../testkit/programs.ts'
import type { Image } from '../../../testkit/registries/image.ts'
import { layoutFiles, writeFiles } from '../../../testkit/registries/image-folders.ts'
import { dockerdOptions } from '../kinds/docker.ts'

export type DockerPrograms = Readonly<Record<'dockerd' | 'docker' | 'skopeo', string>>

/** A Docker daemon of its own, whose images an agent serves. */
export class DockerDaemon {
  readonly socket: string
  readonly #programs: DockerPrograms
  readonly #folder: string
  readonly #options: readonly string[]
  #daemon: Daemon | undefined
  #loads = 0

  /** `extra`: more options of dockerd. The daemon ends with the test. */
  static async start(
    t: TestContext,
    programs: DockerPrograms,
    folder: string,
    extra: readonly string[] = [],
  ): Promise<DockerDaemon> {
    await mkdir(folder, { recursive: true })
    const daemon = new DockerDaemon(programs, folder, extra)
    addCleanup(t, () => daemon.stop())
    await daemon.start()
    return daemon
  }

  private constructor(programs: DockerPrograms, folder: string, extra: readonly string[]) {
    const { socket, options } = dockerdOptions(folder)
    this.socket = socket
    this.#programs = programs
    this.#folder = folder
    this.#options = ['--debug', ...options, ...extra]
  }

  async start(): Promise<void> {
    this.#daemon = new Daemon('dockerd', this.#programs.dockerd, this.#options)
    await this.#daemon.ready(
      async () => (await tryRun(this.#programs.docker, ['--host', this.socket, 'version'])).code === 0,
    )
  }

  async stop(): Promise<void> {
    await this.#daemon?.stop()
  }

  /** How often images were saved since the daemon has started. */
  get saves(): number {
    return (
      this.#daemon?.output.match(/Calling GET \S+\/images\/\S+\/get/g)?.length ?? assert.fail('no daemon')
    )
  }

  async docker(...args: string[]): Promise<string> {
    return (await run(this.#programs.docker, ['--host', this.socket, ...args])).stdout
  }

  /** Gives the daemon an image under a name such as `acme/app:v1`. */
  async load(name: string, image: Image): Promise<void> {
    this.#loads += 1
    const key = `image-${this.#loads}`
    const layout = join(this.#folder, `layout-${key}`)
    const archive = join(this.#folder, `${key}.tar`)
    await writeFiles(layout, layoutFiles({ v1: image }))
    await run(this.#programs.skopeo, [
      ...['--insecure-policy', 'copy', '--quiet'],
      ...[`oci:${layout}:v1`, `docker-archive:${archive}:${name}`],
    ])
    await this.docker('load', '--quiet', '--input', archive)
  }
}
