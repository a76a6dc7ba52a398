import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { convertSettings } from '../../src/migrate/convert.ts'
import { AgentProcess } from '../../testkit/agent-process.ts'
import { addCleanup } from '../../testkit/cleanup.ts'
import { requirePrograms, run } from '../../testkit/programs.ts'
import { buildImage, push } from '../../testkit/registries/image.ts'
import { layoutFiles, writeFiles } from '../../testkit/registries/image-folders.ts'
import { UpstreamRegistry } from '../../testkit/registries/registry.ts'
import { runAgent } from '../cli/agent-process.ts'
import { assertCopied } from './kinds/skopeo.ts'

const MIGRATION = new URL('../../../docs/migration.md', import.meta.url)

async function temporaryFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'leat-migrated-'))
  addCleanup(t, () => rm(folder, { recursive: true, force: true, maxRetries: 3 }))
  return folder
}

/** Starts an agent with what the settings of another tool become. */
async function startMigrated(t: TestContext, folder: string, text: string): Promise<AgentProcess> {
  const { yaml } = convertSettings([{ path: 'settings', text }], { kind: undefined, withPasswords: true })
  const agent = await AgentProcess.start(join(folder, 'leat'), yaml)
  addCleanup(t, () => agent.stop())
  return agent
}

async function skopeoCopy(skopeo: string, from: string, to: string): Promise<void> {
  await mkdir(join(to.replace(/^dir:/, ''), '..'), { recursive: true })
  await run(skopeo, ['--insecure-policy', 'copy', '--quiet', '--src-tls-verify=false', from, to])
}

test('a folder of skopeo is served under the names that static-container-registry gave it', async (t) => {
  const programs = requirePrograms(t, ['skopeo'])
  if (programs === undefined) return
  const folder = await temporaryFolder(t)
  await writeFiles(join(folder, 'layout'), layoutFiles({ v1: buildImage('static') }))
  const images = join(folder, 'images')
  await skopeoCopy(programs.skopeo, `oci:${folder}/layout:v1`, `dir:${images}/alpine/3.9`)
  const agent = await startMigrated(
    t,
    folder,
    `./static-container-registry.py --name-prefix myproject ${images} > registry.conf`,
  )
  const pulled = join(folder, 'pulled')
  await skopeoCopy(programs.skopeo, `docker://${agent.address}/myproject/alpine:3.9`, `dir:${pulled}`)
  assert.deepEqual((await readdir(pulled)).sort(), (await readdir(`${images}/alpine/3.9`)).sort())
})

test('images are pulled by the names that oci-registry, docker-registry-server-proxy and registry:2 gave them', async (t) => {
  const programs = requirePrograms(t, ['skopeo', 'docker-registry'])
  if (programs === undefined) return
  const folder = await temporaryFolder(t)
  const upstream = await UpstreamRegistry.start(programs['docker-registry'], join(folder, 'upstream'))
  addCleanup(t, () => upstream.stop())
  await push(upstream.url, 'acme/app', 'v1', buildImage('migrated'))
  const host = `127.0.0.1:${upstream.port}`

  const any = await startMigrated(
    t,
    join(folder, 'any'),
    `- { namespace: images.test, host: '${host}', tls: false, manifest_invalidation_time: 0s }`,
  )
  for (const [i, name] of ['images.test/acme/app', 'proxy/images.test/acme/app'].entries()) {
    await skopeoCopy(programs.skopeo, `docker://${any.address}/${name}:v1`, `dir:${folder}/any-${i}`)
  }
  const one = await startMigrated(
    t,
    join(folder, 'one'),
    `version: 0.1\nstorage: { inmemory: {} }\nproxy: { remoteurl: '${upstream.url}' }`,
  )
  await skopeoCopy(programs.skopeo, `docker://${one.address}/acme/app:v1`, `dir:${folder}/one-0`)
  for (const name of ['any-0', 'any-1', 'one-0']) {
    assert.ok((await readdir(join(folder, name))).includes('manifest.json'), name)
  }
})

test('images that were pushed to docker-registry-server-proxy get into a hosted repository by the commands of the documents', async (t) => {
  const programs = requirePrograms(t, ['skopeo', 'docker-registry'])
  if (programs === undefined) return
  const folder = await temporaryFolder(t)
  const image = buildImage('pushed to a proxy')
  const registry = await UpstreamRegistry.start(programs['docker-registry'], join(folder, 'registry'))
  addCleanup(t, () => registry.stop())
  await writeFiles(join(folder, 'layout'), layoutFiles({ v1: image }))
  const options = ['--insecure-policy', '--dest-tls-verify=false', '--src-tls-verify=false']
  const [policy = '', ...tls] = options
  const pushed = `docker://127.0.0.1:${registry.port}/app:v1`
  await run(programs.skopeo, [policy, 'copy', '--quiet', ...tls, `oci:${folder}/layout:v1`, pushed])
  const storage = join(folder, 'storage/registry')
  await storeAsProxy(registry.url, 'app', 'v1', storage)

  const settings = `hosted: ["team/**"]\nupstreams: [{namespace: images.corp, host: "127.0.0.1:1", tls: false}]\n`
  const agent = await AgentProcess.start(join(folder, 'leat'), settings)
  addCleanup(t, () => agent.stop())
  const text = await readFile(MIGRATION, 'utf8')
  const command = (pattern: RegExp): readonly string[] => {
    const [, found] = pattern.exec(text) ?? assert.fail(`docs/migration.md has no ${pattern}`)
    return (found ?? '')
      .replaceAll('HOST', agent.address)
      .replace('storage/registry', storage)
      .replace('/var/lib/leat', join(agent.folder, 'data'))
      .split(' ')
  }
  const imported = await runAgent(command(/^agent (import --from registry-proxy:storage\/registry .*)$/m))
  assert.equal(imported.code, 0, imported.err)
  const [copy = '', ...images] = command(/`skopeo (copy docker:\/\/HOST\/[^`]+)`/)
  await run(programs.skopeo, [policy, copy, ...tls, ...images])
  const [, target = ''] = images
  const pulled = join(folder, 'pulled')
  await skopeoCopy(programs.skopeo, target, `dir:${pulled}`)
  await assertCopied(image, pulled)
  // The hosted image does not need the imported one any more.
  assert.equal(
    (await runAgent(['rm', '--force', 'images.corp/app:v1', '--admin', `127.0.0.1:${agent.adminPort}`])).code,
    0,
  )
  await skopeoCopy(programs.skopeo, target, `dir:${pulled}-again`)
  await assertCopied(image, `${pulled}-again`)
})

/** Writes what a registry has as docker-registry-server-proxy stores images that were pushed to it. */
async function storeAsProxy(registry: string, name: string, tag: string, storage: string): Promise<void> {
  const at = join(storage, name, '_repository')
  for (const folder of ['blobs', 'manifests', 'meta']) await mkdir(join(at, folder), { recursive: true })
  const get = async (path: string) => {
    const answer = await fetch(`${registry}/v2/${name}/${path}`, {
      headers: { accept: 'application/vnd.oci.image.manifest.v1+json' },
    })
    assert.equal(answer.status, 200, path)
    return { headers: answer.headers, bytes: Buffer.from(await answer.arrayBuffer()) }
  }
  const { headers, bytes } = await get(`manifests/${tag}`)
  const digest = headers.get('docker-content-digest') ?? ''
  const meta = { hash: digest.slice('sha256:'.length), content_type: headers.get('content-type') }
  for (const reference of [tag, digest]) {
    await writeFile(join(at, 'manifests', reference), bytes)
    await writeFile(join(at, 'meta', reference), JSON.stringify(meta))
  }
  const { config, layers } = JSON.parse(bytes.toString())
  for (const blob of [config, ...layers]) {
    const content = await get(`blobs/${blob.digest}`)
    await writeFile(join(at, 'blobs', blob.digest.slice('sha256:'.length)), content.bytes)
  }
}
