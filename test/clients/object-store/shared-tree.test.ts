import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readdir, rm, symlink, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { createAgent } from '../../../src/agent.ts'
import { addCleanup } from '../../../testkit/cleanup.ts'
import { pause } from '../../../testkit/deadline.ts'
import { startVersitygw, TEST_KEYS } from '../../../testkit/object-store/servers.ts'
import { requirePrograms, run } from '../../../testkit/programs.ts'
import { buildImage, type Image } from '../../../testkit/registries/image.ts'
import { layoutFiles, writeFiles } from '../../../testkit/registries/image-folders.ts'
import { UpstreamRegistry } from '../../../testkit/registries/registry.ts'
import { runAgent } from '../../cli/agent-process.ts'
import { openBucket, type TestedBucket } from '../../object-store/bucket-fixture.ts'
import { assertCopied } from '../kinds/skopeo.ts'

const DEADLINE_MS = 120_000

interface Lab {
  readonly folder: string
  /** A client of the bucket, whose files are the data of `registry`. */
  readonly bucket: TestedBucket
  readonly endpoint: string
  /** The folder of the bucket. */
  readonly files: string
  /** A docker-registry that works on the files of the bucket. */
  readonly registry: UpstreamRegistry
  /** Another one, with files of its own. */
  readonly other: UpstreamRegistry
  copy(...args: readonly string[]): Promise<unknown>
  /** Pushes the image to a registry. */
  push(image: Image, to: UpstreamRegistry, name: string): Promise<void>
}

/** versitygw serves the folder as a bucket in which docker-registry has its files. */
async function setUp(t: TestContext): Promise<Lab | undefined> {
  const programs = requirePrograms(t, ['docker-registry', 'skopeo'])
  if (programs === undefined) return undefined
  const folder = await mkdtemp(join(tmpdir(), 'leat-tree-'))
  addCleanup(t, () => rm(folder, { recursive: true, force: true, maxRetries: 3 }))
  const server = await startVersitygw(t, join(folder, 's3'))
  if (server === undefined) return undefined
  const { endpoint, files } = server
  await mkdir(join(folder, 'registry'))
  await symlink(files, join(folder, 'registry', 'data'))
  const registry = await UpstreamRegistry.start(programs['docker-registry'], join(folder, 'registry'))
  addCleanup(t, () => registry.stop())
  const other = await UpstreamRegistry.start(programs['docker-registry'], join(folder, 'other'))
  addCleanup(t, () => other.stop())
  const copy = (...args: readonly string[]) =>
    run(programs.skopeo, ['--insecure-policy', 'copy', '--quiet', ...args])
  return {
    folder,
    bucket: openBucket(t, { endpoint, prefix: '' }),
    endpoint,
    files,
    registry,
    other,
    copy,
    push: async (image, to, name) => {
      const layout = await mkdtemp(join(folder, 'layout-'))
      await writeFiles(layout, layoutFiles({ 'app:1': image }))
      await copy('--dest-tls-verify=false', `oci:${layout}:app:1`, `docker://127.0.0.1:${to.port}/${name}`)
    },
  }
}

/** Starts an agent that asks the bucket. Gives its address. */
async function startAgent(
  t: TestContext,
  { folder, endpoint }: Lab,
  options: { readonly upstreamPort: number; readonly registry?: string },
): Promise<string> {
  const { upstreamPort, ...store } = options
  const agent = createAgent({
    data: await mkdtemp(join(folder, 'agent-')),
    listen: { host: '127.0.0.1', port: 0 },
    upstreams: { entries: [{ namespace: 'up.test', hosts: [`127.0.0.1:${upstreamPort}`], tls: false }] },
    objectStore: { bucket: 'images', prefix: '', endpoint, environment: TEST_KEYS, ...store },
  })
  addCleanup(t, () => agent.stop({ drainMs: 0 }))
  await agent.start()
  return `127.0.0.1:${agent.addresses.registry.port}`
}

test('docker-registry serves what an agent has uploaded, from the same files', async (t) => {
  const lab = await setUp(t)
  if (lab === undefined) return
  const { bucket, copy, folder, other, push, registry } = lab
  // The first layer is uploaded in parts, the last one in one request.
  const image = buildImage('shared', { layerSizes: [20_000_000, 50_000, 100] })
  await push(image, other, 'team/app:1')
  const agent = await startAgent(t, lab, { upstreamPort: other.port })
  await copy('--src-tls-verify=false', `docker://${agent}/up.test/team/app:1`, `dir:${join(folder, 'first')}`)
  const signal = AbortSignal.timeout(DEADLINE_MS)
  const links = [
    '_manifests/tags/1/current/link',
    ...image.blobs.map(({ digest }) => `_layers/${digest.replace(':', '/')}/link`),
  ]
  for (const link of links) {
    const key = `docker/registry/v2/repositories/up.test/team/app/${link}`
    while ((await bucket.head(key, { signal })) === undefined) await pause(50, signal)
  }
  const pulled = join(folder, 'pulled')
  await copy(
    '--src-tls-verify=false',
    `docker://127.0.0.1:${registry.port}/up.test/team/app:1`,
    `dir:${pulled}`,
  )
  await assertCopied(image, pulled)
  const tags = await fetch(`${registry.url}/v2/up.test/team/app/tags/list`)
  assert.deepEqual(await tags.json(), { name: 'up.test/team/app', tags: ['1'] })
})

test('an agent serves what was pushed to docker-registry, from the same files, while no registry runs', async (t) => {
  const lab = await setUp(t)
  if (lab === undefined) return
  const { copy, folder, push, registry } = lab
  const image = buildImage('pushed', { layerSizes: [5_000_000, 100] })
  await push(image, registry, 'team/app:1')
  const upstreamPort = registry.port
  await registry.stop()
  const agent = await startAgent(t, lab, { upstreamPort, registry: 'up.test' })
  const pulled = join(folder, 'pulled')
  await copy('--src-tls-verify=false', `docker://${agent}/up.test/team/app:1`, `dir:${pulled}`)
  await assertCopied(image, pulled)
  const tags = await fetch(`http://${agent}/v2/up.test/team/app/tags/list`)
  assert.deepEqual(((await tags.json()) as { tags: string[] }).tags, ['1'])
})

test('the garbage of a bucket that docker-registry has written is removed, and the registry serves the rest', async (t) => {
  const lab = await setUp(t)
  if (lab === undefined) return
  const { copy, endpoint, files, folder, push, registry } = lab
  const images = { gone: buildImage('gone'), kept: buildImage('kept') }
  await push(images.gone, registry, 'team/app:old')
  await push(images.kept, registry, 'team/app:new')
  const monthAgo = Date.now() / 1000 - 30 * 86_400
  for (const name of await readdir(files, { recursive: true }))
    await utimes(join(files, name), monthAgo, monthAgo)
  const config = join(folder, 'config.yaml')
  await writeFile(
    config,
    `objectStore:
  url: s3://images
  endpoint: ${endpoint}
  registry: up.test
  expire: [{ names: ["up.test/**"], keepTags: [new] }]
  expireGrace: 2d
`,
  )
  const { code, out, err } = await runAgent(['gc', '--object-store', '--config', config], TEST_KEYS)
  assert.deepEqual([code, err], [0, ''], out)
  assert.match(out, /^tag up\.test\/team\/app:old: /m)
  const left = (await readdir(files, { recursive: true })).join('\n')
  for (const { digest } of [images.gone.manifest, ...images.gone.blobs])
    assert.ok(!left.includes(digest.slice('sha256:'.length)), digest)
  const pulled = join(folder, 'pulled')
  await copy('--src-tls-verify=false', `docker://127.0.0.1:${registry.port}/team/app:new`, `dir:${pulled}`)
  await assertCopied(images.kept, pulled)
  assert.equal((await fetch(`${registry.url}/v2/team/app/manifests/old`)).status, 404)
})
