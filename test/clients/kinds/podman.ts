import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { run } from '../../../testkit/programs.ts'
import type { Image } from '../../../testkit/registries/image.ts'
import {
  assertHasFiles,
  type Client,
  type ClientKind,
  deployText,
  type ImageName,
  imageName,
} from './client.ts'

const REGISTRY = 'registry.test'
export const POLICY = '{ "default": [{ "type": "insecureAcceptAnything" }] }'

/** The options with which podman stores everything in this folder. */
export function podmanOptions(folder: string): readonly string[] {
  return [
    ...['--root', join(folder, 'root')],
    ...['--runroot', join(folder, 'run')],
    ...['--tmpdir', join(folder, 'tmp')],
    // Overlay may not be mountable where tests run, and vfs copies.
    ...['--storage-driver', 'vfs'],
    ...['--events-backend', 'none'],
    ...['--cgroup-manager', 'cgroupfs'],
  ]
}

export const podman: ClientKind = {
  name: 'podman',
  programs: ['podman'],
  needsRoot: true,
  registry: REGISTRY,
  async start(programs, folder, address) {
    await mkdir(folder, { recursive: true })
    const registries = join(folder, 'registries.conf')
    const text = await deployText('podman/registries.conf', address)
    await writeFile(registries, text.replaceAll('docker.io', REGISTRY))
    const policy = join(folder, 'policy.json')
    await writeFile(policy, POLICY)
    return new Podman(programs['podman'] ?? '', folder, registries, policy)
  },
}

class Podman implements Client {
  readonly #program: string
  readonly #common: readonly string[]
  readonly #registries: string
  readonly #policy: string

  constructor(program: string, folder: string, registries: string, policy: string) {
    this.#program = program
    this.#registries = registries
    this.#policy = policy
    this.#common = podmanOptions(folder)
  }

  async pull(name: ImageName): Promise<void> {
    await this.#run('pull', '--quiet', '--signature-policy', this.#policy, imageName(REGISTRY, name))
  }

  async check(name: ImageName, image: Image): Promise<void> {
    const ref = imageName(REGISTRY, name)
    const folder = (await this.#run('image', 'mount', ref)).trim()
    try {
      await assertHasFiles(folder, image)
    } finally {
      await this.#run('image', 'unmount', ref)
    }
  }

  async forget(): Promise<void> {
    await this.#run('rmi', '--all', '--force')
  }

  async stop(): Promise<void> {}

  async #run(...args: string[]): Promise<string> {
    const env = { CONTAINERS_REGISTRIES_CONF: this.#registries }
    return (await run(this.#program, [...this.#common, ...args], { env })).stdout
  }
}
