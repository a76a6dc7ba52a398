import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Daemon } from '../../../testkit/daemon.ts'
import { run, tryRun } from '../../../testkit/programs.ts'
import type { Image } from '../../../testkit/registries/image.ts'
import {
  assertHasBlobs,
  type Client,
  type ClientKind,
  deployText,
  type ImageName,
  imageName,
} from './client.ts'

const REGISTRY = 'registry.test'

/** Overlay may not be mountable where tests run, and the native snapshotter copies. */
const SNAPSHOTTER = ['--snapshotter', 'native']

/** A containerd of its own in a folder, and the flags with which `ctr` reaches it. The caller stops the daemon. */
export async function startContainerd(
  { containerd, ctr }: { readonly containerd: string; readonly ctr: string },
  folder: string,
): Promise<{ readonly daemon: Daemon; readonly common: readonly string[] }> {
  const socket = join(folder, 'containerd.sock')
  const config = join(folder, 'config.toml')
  await writeFile(
    config,
    `version = 2
root = "${join(folder, 'root')}"
state = "${join(folder, 'state')}"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.tracing"]
[grpc]
  address = "${socket}"
[plugins."io.containerd.internal.v1.opt"]
  path = "${join(folder, 'opt')}"
`,
  )
  const daemon = new Daemon('containerd', containerd, ['--config', config, '--log-level', 'warn'])
  const common = ['--address', socket, '--namespace', 'leat']
  try {
    await daemon.ready(async () => (await tryRun(ctr, [...common, 'version'])).code === 0)
  } catch (error) {
    await daemon.stop()
    throw error
  }
  return { daemon, common }
}

export const containerd: ClientKind = {
  name: 'containerd',
  programs: ['containerd', 'ctr'],
  needsRoot: true,
  registry: REGISTRY,
  async start(programs, folder, address) {
    const hosts = join(folder, 'hosts')
    await mkdir(join(hosts, REGISTRY), { recursive: true })
    // The fallback https://registry.test does not exist, so everything comes from the agent.
    await writeFile(join(hosts, REGISTRY, 'hosts.toml'), await deployText('containerd/hosts.toml', address))
    const ctr = programs['ctr'] ?? ''
    const { daemon, common } = await startContainerd(
      { containerd: programs['containerd'] ?? '', ctr },
      folder,
    )
    return new Containerd(daemon, ctr, common, hosts, join(folder, 'root'))
  },
}

class Containerd implements Client {
  readonly #daemon: Daemon
  readonly #ctr: string
  readonly #common: readonly string[]
  readonly #hosts: string
  readonly #blobs: string

  constructor(daemon: Daemon, ctr: string, common: readonly string[], hosts: string, root: string) {
    this.#daemon = daemon
    this.#ctr = ctr
    this.#common = common
    this.#hosts = hosts
    this.#blobs = join(root, 'io.containerd.content.v1.content/blobs/sha256')
  }

  async pull(name: ImageName): Promise<void> {
    await this.#images('pull', ...SNAPSHOTTER, '--hosts-dir', this.#hosts, imageName(REGISTRY, name))
  }

  async check(name: ImageName, image: Image): Promise<void> {
    const ref = imageName(REGISTRY, name)
    const checked = await this.#images('check', ...SNAPSHOTTER, `name==${ref}`)
    assert.match(checked, new RegExp(`^${ref} .* complete .* true`, 'm'))
    await assertHasBlobs(this.#blobs, image)
  }

  async forget(): Promise<void> {
    const refs = (await this.#images('ls', '--quiet')).split('\n').filter((ref) => ref !== '')
    if (refs.length > 0) await this.#images('rm', '--sync', ...refs)
  }

  async stop(): Promise<void> {
    await this.#daemon.stop()
  }

  async #images(...args: string[]): Promise<string> {
    return (await run(this.#ctr, [...this.#common, 'images', ...args])).stdout
  }
}
