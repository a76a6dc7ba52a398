import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
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
