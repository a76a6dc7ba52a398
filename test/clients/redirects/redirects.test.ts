import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { addCleanup } from '../../../testkit/cleanup.ts'
import { Daemon } from '../../../testkit/daemon.ts'
import { run, tryRun } from '../../../testkit/programs.ts'
import type { Image } from '../../../testkit/registries/image.ts'
import { assertHasBlobs, assertHasFiles } from '../kinds/client.ts'
import { startContainerd } from '../kinds/containerd.ts'
import { dockerdOptions } from '../kinds/docker.ts'
import { POLICY, podmanOptions } from '../kinds/podman.ts'
import { assertCopied } from '../kinds/skopeo.ts'
import { IMAGES } from './images.ts'
import { type ClientMachine, startRedirectLab } from './redirect-lab.ts'

/** Pulls an image by its name, and rejects unless the client has all of it. */
type Pull = (ref: string, image: Image) => Promise<void>

/** Sets up a client on a machine. What it starts ends with the test. */
type SetUp = (t: TestContext, machine: ClientMachine) => Promise<Pull>

const setUpSkopeo: SetUp = async (_t, { programs, folder }) => {
  const target = join(folder, 'copied')
  return async (ref, image) => {
    await mkdir(target, { recursive: true })
    await run(programs['skopeo'] ?? '', [
      '--insecure-policy',
      'copy',
      '--quiet',
      `docker://${ref}`,
      `dir:${target}`,
    ])
    await assertCopied(image, target)
  }
}

const setUpPodman: SetUp = async (_t, { programs, folder }) => {
  const podman = (...args: string[]) =>
    run(programs['podman'] ?? '', [...podmanOptions(join(folder, 'p')), ...args])
  const policy = join(folder, 'policy.json')
  await writeFile(policy, POLICY)
  return async (ref, image) => {
    await podman('pull', '--quiet', '--signature-policy', policy, ref)
    const { stdout } = await podman('image', 'mount', ref)
    try {
      await assertHasFiles(stdout.trim(), image)
    } finally {
      await podman('image', 'unmount', ref)
    }
  }
}

const setUpContainerd: SetUp = async (t, { programs, folder }) => {
  const { containerd = '', ctr = '' } = programs
  const { daemon, common } = await startContainerd({ containerd, ctr }, folder)
  addCleanup(t, () => daemon.stop())
  return async (ref, image) => {
    await run(ctr, [...common, 'images', 'pull', '--snapshotter', 'native', ref])
    await assertHasBlobs(join(folder, 'root', 'io.containerd.content.v1.content/blobs/sha256'), image)
  }
}

const setUpDocker: SetUp = async (t, { programs, folder }) => {
  const { socket, options } = dockerdOptions(folder)
  const daemon = new Daemon('dockerd', programs['dockerd'] ?? '', options)
  addCleanup(t, () => daemon.stop())
  const docker = (...args: string[]) => run(programs['docker'] ?? '', ['--host', socket, ...args])
  await daemon.ready(
    async () => (await tryRun(programs['docker'] ?? '', ['--host', socket, 'version'])).code === 0,
  )
  return async (ref, image) => {
    await docker('pull', '--quiet', ref)
    const container = (await docker('create', ref)).stdout.trim()
    const files = join(folder, 'files', container)
    await mkdir(files, { recursive: true })
    for (const file of image.files.keys()) await docker('cp', `${container}:/${file}`, files)
    await docker('rm', container)
    await assertHasFiles(files, image)
  }
}

const CLIENTS: readonly (readonly [name: string, programs: readonly string[], setUp: SetUp])[] = [
  ['skopeo', ['skopeo'], setUpSkopeo],
  ['podman', ['podman'], setUpPodman],
  ['containerd', ['containerd', 'ctr'], setUpContainerd],
  ['Docker', ['dockerd', 'docker', 'containerd'], setUpDocker],
]

for (const [name, programs, setUp] of CLIENTS) {
  test(`${name} pulls through a redirected host, with layers from the bucket near it or from the registry`, async (t) => {
    const lab = await startRedirectLab(t, programs)
    if (lab === undefined) return
    for (const machine of lab.machines) {
      const pull = await setUp(t, machine)
      for (const image of ['app', 'other'] as const) {
        await pull(`${lab.registry}/${image}:v1`, IMAGES[image])
        await lab.assertPulled(machine, image)
      }
    }
  })
}
