import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { addCleanup } from '../../../testkit/cleanup.ts'
import { findProgram, requirePrograms, requireRoot, run } from '../../../testkit/programs.ts'
import { buildImage } from '../../../testkit/registries/image.ts'
import { assertHasFiles } from '../kinds/client.ts'
import { startContainerd } from '../kinds/containerd.ts'
import { POLICY, podmanOptions } from '../kinds/podman.ts'
import { assertCopied } from '../kinds/skopeo.ts'
import { DockerDaemon } from '../sources/docker-daemon.ts'
import { startPushLab } from './push-lab.ts'

const image = buildImage('pushed', { layerSizes: [20_000_000, 50_000, 100] })

test('skopeo pushes an image as it is, and pulls it again', async (t) => {
  const programs = requirePrograms(t, ['skopeo'])
  if (programs === undefined) return
  const lab = await startPushLab(t, image)
  const name = `docker://${lab.registry}/team/skopeo:v1`
  const copy = (...args: string[]) => run(programs.skopeo, ['--insecure-policy', 'copy', '--quiet', ...args])
  await copy('--dest-tls-verify=false', `oci:${lab.layout}:app:v1`, name)
  assert.equal(await lab.served('team/skopeo', 'v1'), image.manifest.digest)
  const pulled = join(lab.folder, 'pulled')
  await copy('--src-tls-verify=false', name, `dir:${pulled}`)
  await assertCopied(image, pulled)
  await run(programs.skopeo, ['delete', '--tls-verify=false', name])
  await assert.rejects(copy('--src-tls-verify=false', name, `dir:${pulled}`), /manifest unknown/)
})

test('podman pushes an image, forgets it, and pulls it again', async (t) => {
  const programs = requirePrograms(t, ['podman', 'skopeo'])
  if (programs === undefined || !requireRoot(t)) return
  const lab = await startPushLab(t, image)
  const folder = join(lab.folder, 'podman')
  await mkdir(folder)
  const policy = join(folder, 'policy.json')
  await writeFile(policy, POLICY)
  const podman = async (...args: string[]) =>
    (await run(programs.podman, [...podmanOptions(folder), ...args])).stdout.trim()
  const name = `${lab.registry}/team/podman:v1`
  const archive = join(folder, 'oci.tar')
  await run(programs.skopeo, [
    ...['--insecure-policy', 'copy', '--quiet'],
    ...[`oci:${lab.layout}:app:v1`, `docker-archive:${archive}:${name}`],
  ])
  await podman('load', '--quiet', '--signature-policy', policy, '--input', archive)
  await podman('push', '--quiet', '--tls-verify=false', '--signature-policy', policy, name)
  await lab.served('team/podman', 'v1')
  await podman('rmi', '--all', '--force')
  await podman('pull', '--quiet', '--tls-verify=false', '--signature-policy', policy, name)
  const files = await podman('image', 'mount', name)
  await assertHasFiles(files, image)
  await podman('image', 'unmount', name)
})

test('Docker pushes an image, pushes it again without sending layers, and pulls it', async (t) => {
  const programs = requirePrograms(t, ['dockerd', 'docker', 'containerd', 'skopeo'])
  if (programs === undefined || !requireRoot(t)) return
  const lab = await startPushLab(t, image)
  const daemon = await DockerDaemon.start(t, programs, join(lab.folder, 'docker'))
  const docker = (...args: string[]) => daemon.docker(...args)
  const name = `${lab.registry}/team/docker:v1`
  await daemon.load(name, image)
  assert.match(await docker('push', name), /: Pushed/)
  const digest = await lab.served('team/docker', 'v1')
  const other = `${lab.registry}/team/docker-copy:v1`
  await docker('tag', name, other)
  assert.match(await docker('push', other), /Mounted from team\/docker/)
  assert.equal(await lab.served('team/docker-copy', 'v1'), digest)
  assert.match(await docker('push', name), /Layer already exists/)
  await docker('rmi', '--force', name, other)
  await docker('pull', '--quiet', name)
  const container = (await docker('create', name)).trim()
  const files = await mkdtemp(join(lab.folder, 'files-'))
  for (const file of image.files.keys()) await docker('cp', `${container}:/${file}`, files)
  await assertHasFiles(files, image)
})

test('containerd pushes an image, forgets it, and pulls it again', async (t) => {
  const programs = requirePrograms(t, ['containerd', 'ctr', 'skopeo'])
  if (programs === undefined || !requireRoot(t)) return
  const lab = await startPushLab(t, image)
  const folder = join(lab.folder, 'containerd')
  await mkdir(folder)
  const { daemon, common } = await startContainerd(programs, folder)
  addCleanup(t, () => daemon.stop())
  const images = (...args: string[]) => run(programs.ctr, [...common, 'images', ...args])
  const archive = join(lab.folder, 'oci.tar')
  const name = `${lab.registry}/team/containerd:v1`
  await run(programs.skopeo, [
    ...['--insecure-policy', 'copy', '--quiet'],
    `oci:${lab.layout}:app:v1`,
    `oci-archive:${archive}:${name}`,
  ])
  await images('import', '--no-unpack', '--all-platforms', archive)
  await images('push', '--plain-http', name)
  assert.equal(await lab.served('team/containerd', 'v1'), image.manifest.digest)
  await images('rm', '--sync', name)
  await images('pull', '--plain-http', '--snapshotter', 'native', name)
  assert.match((await images('check', '--snapshotter', 'native')).stdout, /complete .* true/)
})

test('helm pushes a chart, and pulls the same bytes', async (t) => {
  const helm = findProgram('helm', [join(homedir(), 'go/bin')])
  if (helm === undefined) return t.skip('missing: helm (go install helm.sh/helm/v3/cmd/helm@latest)')
  const lab = await startPushLab(t, image)
  const cwd = lab.folder
  await run(helm, ['create', 'chart'], { cwd })
  await run(helm, ['package', 'chart'], { cwd })
  await run(helm, ['push', '--plain-http', 'chart-0.1.0.tgz', `oci://${lab.registry}/team/charts`], { cwd })
  const pulled = join(cwd, 'pulled')
  await mkdir(pulled)
  const chart = `oci://${lab.registry}/team/charts/chart`
  await run(helm, ['pull', '--plain-http', '--version', '0.1.0', '--destination', pulled, chart], { cwd })
  assert.deepEqual(
    await readFile(join(pulled, 'chart-0.1.0.tgz')),
    await readFile(join(cwd, 'chart-0.1.0.tgz')),
  )
})
