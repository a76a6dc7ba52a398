import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { access, cp, mkdir, mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { addCleanup } from '../../../testkit/cleanup.ts'
import { requirePrograms, requireRoot, run } from '../../../testkit/programs.ts'
import { buildImage, buildIndex, push } from '../../../testkit/registries/image.ts'
import { layoutFiles, writeFiles } from '../../../testkit/registries/image-folders.ts'
import { UpstreamRegistry } from '../../../testkit/registries/registry.ts'
import { type CommandResult, runAgent, startServing } from '../../cli/agent-process.ts'
import { startContainerd } from '../kinds/containerd.ts'
import { DockerDaemon } from '../sources/docker-daemon.ts'

const app = buildImage('imported', { layerSizes: [3_000_000, 50_000, 100] })
const list = buildIndex('imported list', ['amd64', 'arm64'])

interface Lab {
  readonly folder: string
  readonly data: string
  readonly skopeo: string
  import(...args: string[]): Promise<CommandResult>
  /** The digest of a manifest that the agent serves, with all its blobs. */
  pull(name: string): Promise<string>
}

/** A running agent that reaches no registry, and images that skopeo has written in `layout`. */
async function startLab(t: TestContext): Promise<Lab | undefined> {
  const programs = requirePrograms(t, ['skopeo'])
  if (programs === undefined) return undefined
  const folder = await mkdtemp(join(tmpdir(), 'leat-'))
  addCleanup(t, () => rm(folder, { recursive: true, force: true, maxRetries: 3 }))
  const data = join(folder, 'data')
  const config = join(folder, 'config.yaml')
  await writeFile(config, 'upstreams:\n  - {namespace: registry.test, host: "127.0.0.1:1", tls: false}\n')
  const agent = await startServing([
    '--data',
    data,
    '--config',
    config,
    '--default-namespace',
    'registry.test',
  ])
  addCleanup(t, () => agent.kill())
  await writeFiles(join(folder, 'layout'), layoutFiles({ 'acme/app:v1': app, 'acme/list:v1': list }))
  let pulls = 0
  return {
    folder,
    data,
    skopeo: programs.skopeo,
    import: (...args) =>
      runAgent([
        'import',
        ...args,
        '--data',
        data,
        '--config',
        config,
        '--default-namespace',
        'registry.test',
      ]),
    async pull(name) {
      pulls += 1
      const target = join(folder, `pulled-${pulls}`)
      const options = ['--insecure-policy', 'copy', '--quiet', '--all', '--src-tls-verify=false']
      await run(programs.skopeo, [...options, `docker://${agent.registry}/${name}`, `dir:${target}`])
      const manifest = await readFile(join(target, 'manifest.json'))
      return `sha256:${createHash('sha256').update(manifest).digest('hex')}`
    },
  }
}

async function copy(lab: Lab, from: string, to: string): Promise<void> {
  await run(lab.skopeo, ['--insecure-policy', 'copy', '--quiet', '--all', from, to])
}

test('what skopeo writes is imported and pulled again, in every form', async (t) => {
  const lab = await startLab(t)
  if (lab === undefined) return
  const { folder } = lab
  const layout = `oci:${join(folder, 'layout')}`
  await copy(lab, `${layout}:acme/list:v1`, `oci:${join(folder, 'written')}:acme/list:v2`)
  await copy(lab, `${layout}:acme/list:v1`, `oci-archive:${join(folder, 'list.tar')}:acme/list:v3`)
  await copy(lab, `${layout}:acme/app:v1`, `docker-archive:${join(folder, 'app.tar')}:acme/app:v3`)
  await mkdir(join(folder, 'tree/acme/list'), { recursive: true })
  await copy(lab, `${layout}:acme/list:v1`, `dir:${join(folder, 'tree/acme/list/v4')}`)
  for (const [source, name, digest] of [
    [`oci:${join(folder, 'written')}`, 'acme/list:v2', list.manifest.digest],
    [`oci-archive:${join(folder, 'list.tar')}`, 'acme/list:v3', list.manifest.digest],
    [`dir:${join(folder, 'tree')}`, 'acme/list:v4', list.manifest.digest],
    [`docker-archive:${join(folder, 'app.tar')}`, 'acme/app:v3', undefined],
  ] as const) {
    // skopeo writes docker.io into the names of such an archive.
    const { code, err } = await lab.import(source, '--registry', 'registry.test')
    assert.equal(code, 0, err)
    const pulled = await lab.pull(name)
    if (digest !== undefined) assert.equal(pulled, digest)
  }
})

test('archives that containerd exports, as nerdctl save does, are imported', async (t) => {
  const lab = await startLab(t)
  const programs = requirePrograms(t, ['containerd', 'ctr'])
  if (lab === undefined || programs === undefined || !requireRoot(t)) return
  const at = (name: string) => join(lab.folder, name)
  await mkdir(at('containerd'))
  const { daemon, common } = await startContainerd(programs, at('containerd'))
  addCleanup(t, () => daemon.stop())
  const written = ['export', '--from', `oci:${at('layout')}`, '--to', `oci-archive:${at('written.tar')}`]
  assert.equal((await runAgent(written)).code, 0)
  const ctr = (...args: readonly string[]) => run(programs.ctr, [...common, 'images', ...args])
  await ctr('import', '--all-platforms', '--snapshotter', 'native', at('written.tar'))
  for (const [name, image] of Object.entries({ app, list })) {
    const archive = at(`${name}.tar`)
    await ctr('export', '--all-platforms', archive, `docker.io/acme/${name}:v1`)
    const { code, err } = await lab.import(`oci-archive:${archive}`, '--registry', 'registry.test')
    assert.equal(code, 0, err)
    assert.equal(await lab.pull(`acme/${name}:v1`), image.manifest.digest)
  }
})

test('the storage of a real registry is taken over', async (t) => {
  const lab = await startLab(t)
  const programs = requirePrograms(t, ['docker-registry'])
  if (lab === undefined || programs === undefined) return
  const folder = join(lab.folder, 'registry')
  const registry = await UpstreamRegistry.start(programs['docker-registry'], folder)
  addCleanup(t, () => registry.stop())
  await push(registry.url, 'acme/app', 'v1', app)
  await push(registry.url, 'acme/list', 'v1', list)
  await registry.stop()
  const half = join(lab.folder, 'half')
  await cp(join(folder, 'data'), half, { recursive: true })
  const hex = app.blobs[1]?.digest.slice('sha256:'.length) ?? ''
  const blob = join(half, 'docker/registry/v2/blobs/sha256', hex.slice(0, 2), hex, 'data')
  await truncate(blob, 10_000)
  const broken = await lab.import('--from', `docker-registry:${half}`)
  assert.equal(broken.code, 1)
  assert.ok(broken.err.includes(`${blob} is left out. It has 10000 bytes`), broken.err)
  assert.equal(await lab.pull('acme/list:v1'), list.manifest.digest)
  const { code, err, out } = await lab.import('--from', `docker-registry:${join(folder, 'data')}`, '--move')
  assert.equal(code, 0, err)
  assert.match(out, /moved/)
  assert.equal(await lab.pull('acme/app:v1'), app.manifest.digest)
  await assert.rejects(access(blob.replace(half, join(folder, 'data'))), 'the blob was moved')
})

test('an image of a real Docker daemon is imported by one save', async (t) => {
  const lab = await startLab(t)
  const programs = requirePrograms(t, ['dockerd', 'docker', 'skopeo'])
  if (lab === undefined || programs === undefined || !requireRoot(t)) return
  const daemon = await DockerDaemon.start(t, programs, join(lab.folder, 'docker'))
  await daemon.load('acme/app:v1', app)
  const env = { DOCKER_HOST: daemon.socket }
  const args = [
    'import',
    'docker-daemon:acme/app:v1',
    '--data',
    lab.data,
    '--as',
    'registry.test/acme/docker:v1',
  ]
  const first = await runAgent(args, env)
  assert.equal(first.code, 0, first.err)
  const digest = await lab.pull('acme/docker:v1')
  assert.match(digest, /^sha256:/)
  const second = await runAgent(args, env)
  assert.match(second.out, /already stored/)
  assert.equal(daemon.saves, 1)
  // The same image in an archive of docker save has the same digest.
  const archive = join(lab.folder, 'saved.tar')
  await daemon.docker('save', '--output', archive, 'acme/app:v1')
  assert.equal((await lab.import(`docker-archive:${archive}`)).code, 0)
  assert.equal(await lab.pull('acme/app:v1'), digest)
  await daemon.stop()
  const away = await runAgent(args, env)
  assert.equal(away.code, 1)
  assert.match(away.err, /^agent: Docker at unix:\S+ cannot be reached/m)
})
