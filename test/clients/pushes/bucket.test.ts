import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { AgentProcess } from '../../../testkit/agent-process.ts'
import { addCleanup } from '../../../testkit/cleanup.ts'
import {
  bucketSettings,
  type S3Server,
  startMoto,
  startVersitygw,
} from '../../../testkit/object-store/servers.ts'
import { requirePrograms, run } from '../../../testkit/programs.ts'
import { buildImage } from '../../../testkit/registries/image.ts'
import { layoutFiles, writeFiles } from '../../../testkit/registries/image-folders.ts'
import { UpstreamRegistry } from '../../../testkit/registries/registry.ts'
import { assertCopied } from '../kinds/skopeo.ts'

// The first layer is sent to the bucket in parts, the others in one request.
const image = buildImage('pushed to a bucket', { layerSizes: [20_000_000, 50_000, 100] })

async function newFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'leat-'))
  addCleanup(t, () => rm(folder, { recursive: true, force: true, maxRetries: 3 }))
  return folder
}

/** Starts an agent with an empty disk that hosts `team/**` in the bucket. */
async function startAgent(t: TestContext, server: S3Server, more = ''): Promise<AgentProcess> {
  const folder = await newFolder(t)
  const config = `hosted: ["team/**"]\n${await bucketSettings(server, folder)}  hosted: true\n${more}`
  const agent = await AgentProcess.start(join(folder, 'agent'), config)
  addCleanup(t, () => agent.stop())
  return agent
}

function copyWith(skopeo: string) {
  return (...args: readonly string[]) => run(skopeo, ['--insecure-policy', 'copy', '--quiet', ...args])
}

const SERVERS: Readonly<Record<string, (t: TestContext) => Promise<S3Server | undefined>>> = {
  moto: startMoto,
  versitygw: async (t) => startVersitygw(t, await newFolder(t)),
}

for (const [name, start] of Object.entries(SERVERS)) {
  test(`skopeo pushes through one agent into a bucket of ${name}, and pulls from another agent`, async (t) => {
    const programs = requirePrograms(t, ['skopeo'])
    if (programs === undefined) return
    const server = await start(t)
    if (server === undefined) return
    const copy = copyWith(programs.skopeo)
    const folder = await newFolder(t)
    const layout = join(folder, 'layout')
    await writeFiles(layout, layoutFiles({ 'app:v1': image }))
    const [taker, other] = [await startAgent(t, server), await startAgent(t, server)]
    await copy('--dest-tls-verify=false', `oci:${layout}:app:v1`, `docker://${taker.address}/team/app:v1`)
    await taker.stop()
    const source = `docker://${other.address}/team/app:v1`
    await copy('--src-tls-verify=false', source, `dir:${join(folder, 'pulled')}`)
    await assertCopied(image, join(folder, 'pulled'))
    await run(programs.skopeo, ['delete', '--tls-verify=false', source])
    const third = await startAgent(t, server)
    const gone = copy('--src-tls-verify=false', `docker://${third.address}/team/app:v1`, `dir:${folder}/gone`)
    await assert.rejects(gone, /manifest unknown/)
  })
}

test('docker-registry serves what was pushed through an agent, from the files of the bucket', async (t) => {
  const programs = requirePrograms(t, ['docker-registry', 'skopeo'])
  if (programs === undefined) return
  const folder = await newFolder(t)
  const server = await startVersitygw(t, join(folder, 's3'))
  if (server === undefined) return
  const copy = copyWith(programs.skopeo)
  const layout = join(folder, 'layout')
  await writeFiles(layout, layoutFiles({ 'app:v1': image }))
  const agent = await startAgent(t, server, '  registry: localhost\n')
  await copy('--dest-tls-verify=false', `oci:${layout}:app:v1`, `docker://${agent.address}/team/app:v1`)
  await mkdir(join(folder, 'registry'))
  await symlink(server.files, join(folder, 'registry', 'data'))
  const registry = await UpstreamRegistry.start(programs['docker-registry'], join(folder, 'registry'))
  addCleanup(t, () => registry.stop())
  const source = `docker://127.0.0.1:${registry.port}/team/app:v1`
  await copy('--src-tls-verify=false', source, `dir:${join(folder, 'pulled')}`)
  await assertCopied(image, join(folder, 'pulled'))
  // What is pushed through the registry is there for agents, too.
  const target = `docker://127.0.0.1:${registry.port}/team/other:v2`
  await copy('--dest-tls-verify=false', `oci:${layout}:app:v1`, target)
  const again = `docker://${agent.address}/team/other:v2`
  await copy('--src-tls-verify=false', again, `dir:${join(folder, 'again')}`)
  await assertCopied(image, join(folder, 'again'))
})
