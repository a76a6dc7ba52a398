import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Daemon } from '../../../testkit/daemon.ts'
import { run, tryRun } from '../../../testkit/programs.ts'
import type { Image } from '../../../testkit/registries/image.ts'
import {
  assertHasFiles,
  type Client,
  type ClientKind,
  deployText,
  type ImageName,
  imageName,
} from './client.ts'

/** Docker uses mirrors only for docker.io. */
const REGISTRY = 'docker.io'

/** The socket and options of a dockerd that stores everything in this folder. */
export function dockerdOptions(folder: string) {
  const socket = `unix://${join(folder, 'docker.sock')}`
  const options = [
    ...['--host', socket],
    ...['--pidfile', join(folder, 'docker.pid')],
    ...['--data-root', join(folder, 'root')],
    ...['--exec-root', join(folder, 'exec')],
    // No container runs, so the network of the machine is not changed. Overlay may not be mountable, and vfs copies.
    ...['--iptables=false', '--ip6tables=false', '--bridge=none'],
    ...['--storage-driver', 'vfs'],
  ]
  return { socket, options }
}

export const docker: ClientKind = {
  name: 'Docker',
  programs: ['dockerd', 'docker', 'containerd'],
  needsRoot: true,
  registry: REGISTRY,
  async start(programs, folder, address) {
    await mkdir(folder, { recursive: true })
    const config = join(folder, 'daemon.json')
    await writeFile(config, await deployText('docker/daemon.json', address))
    const { socket, options } = dockerdOptions(folder)
    const daemon = new Daemon('dockerd', programs['dockerd'] ?? '', ['--config-file', config, ...options])
    const program = programs['docker'] ?? ''
    await daemon.ready(async () => (await tryRun(program, ['--host', socket, 'version'])).code === 0)
    return new Docker(daemon, program, socket, folder)
  },
}

class Docker implements Client {
  readonly #daemon: Daemon
  readonly #program: string
  readonly #socket: string
  readonly #folder: string

  constructor(daemon: Daemon, program: string, socket: string, folder: string) {
    this.#daemon = daemon
    this.#program = program
    this.#socket = socket
    this.#folder = folder
  }

  async pull(name: ImageName): Promise<void> {
    await this.#run('pull', '--quiet', imageName(REGISTRY, name))
  }

  async check(name: ImageName, image: Image): Promise<void> {
    const container = (await this.#run('create', imageName(REGISTRY, name))).trim()
    const folder = await mkdtemp(join(this.#folder, 'files-'))
    try {
      for (const file of image.files.keys()) await this.#run('cp', `${container}:/${file}`, folder)
      await assertHasFiles(folder, image)
    } finally {
      await this.#run('rm', container)
      await rm(folder, { recursive: true })
    }
  }

  async forget(): Promise<void> {
    const ids = new Set((await this.#run('images', '--quiet')).split('\n').filter((id) => id !== ''))
    if (ids.size > 0) await this.#run('rmi', '--force', ...ids)
  }

  async stop(): Promise<void> {
    await this.#daemon.stop()
  }

  async #run(...args: string[]): Promise<string> {
    return (await run(this.#program, ['--host', this.#socket, ...args])).stdout
  }
}
