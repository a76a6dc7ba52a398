import assert from 'node:assert/strict'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { findProgram, run } from '../../../testkit/programs.ts'
import { buildImage } from '../../../testkit/registries/image.ts'
import { startPushLab } from './push-lab.ts'

/** Tools of Go, of which Debian has no packages. A missing one is built by the command in its message. */
const TOOLS = {
  crane: 'github.com/google/go-containerregistry/cmd/crane@latest',
  oras: 'oras.land/oras/cmd/oras@latest',
  regctl: 'github.com/regclient/regclient/cmd/regctl@latest',
} as const

const image = buildImage('pushed by tools', { layerSizes: [300_000, 100] })

/** Undefined, and the test is skipped, where there is no such tool. */
function findTool(t: TestContext, name: keyof typeof TOOLS): string | undefined {
  const found = findProgram(name, [join(homedir(), 'go/bin')])
  if (found === undefined) t.skip(`missing: ${name} (go install ${TOOLS[name]})`)
  return found
}

test('crane pushes an image, copies it, and deletes a tag', async (t) => {
  const crane = findTool(t, 'crane')
  if (crane === undefined) return
  const lab = await startPushLab(t, image)
  const call = async (...args: string[]) => (await run(crane, [...args, '--insecure'])).stdout.trim()
  const name = `${lab.registry}/team/crane`
  await call('push', lab.layout, `${name}:v1`)
  assert.equal(await lab.served('team/crane', 'v1'), image.manifest.digest)
  await call('copy', `${name}:v1`, `${lab.registry}/team/crane-copy:v2`)
  assert.equal(await lab.served('team/crane-copy', 'v2'), image.manifest.digest)
  await call('tag', `${name}:v1`, 'v3')
  assert.deepEqual((await call('ls', name)).split('\n').sort(), ['v1', 'v3'])
  await call('delete', `${name}@${image.manifest.digest}`)
  await assert.rejects(call('digest', `${name}:v1`), /MANIFEST_UNKNOWN|404/)
})

test('oras pushes files, and attaches a signature that it discovers and pulls', async (t) => {
  const oras = findTool(t, 'oras')
  if (oras === undefined) return
  const lab = await startPushLab(t, image)
  const cwd = join(lab.folder, 'files')
  await mkdir(cwd)
  await writeFile(join(cwd, 'app.txt'), 'an artifact')
  await writeFile(join(cwd, 'app.sig'), 'a signature')
  const call = async (...args: string[]) => (await run(oras, [...args, '--plain-http'], { cwd })).stdout
  const name = `${lab.registry}/team/oras`
  const type = 'application/vnd.example.signature'
  await call('push', `${name}:v1,v2`, '--artifact-type', 'application/vnd.example.app', 'app.txt')
  await call('attach', `${name}:v1`, '--artifact-type', type, 'app.sig')
  const found = JSON.parse(await call('discover', `${name}:v2`, '--format', 'json')) as {
    referrers?: { artifactType: string; digest: string }[]
    manifests?: { artifactType: string; digest: string }[]
  }
  const [signature, ...others] = found.referrers ?? found.manifests ?? []
  assert.deepEqual([signature?.artifactType, others.length], [type, 0])
  const pulled = join(lab.folder, 'pulled')
  await call('pull', `${name}@${signature?.digest}`, '--output', pulled)
  await call('pull', `${name}:v2`, '--output', pulled)
  assert.equal(await readFile(join(pulled, 'app.sig'), 'utf8'), 'a signature')
  assert.equal(await readFile(join(pulled, 'app.txt'), 'utf8'), 'an artifact')
})

test('regctl pushes an image and an artifact that refers to it, and copies both', async (t) => {
  const regctl = findTool(t, 'regctl')
  if (regctl === undefined) return
  const lab = await startPushLab(t, image)
  const call = async (...args: string[]) =>
    (await run(regctl, ['--host', `reg=${lab.registry},tls=disabled`, ...args])).stdout.trim()
  const name = `${lab.registry}/team/regctl`
  await call(
    'image',
    'copy',
    `ocidir://${lab.layout}:app:v1`.replace(':app:v1', `@${image.manifest.digest}`),
    `${name}:v1`,
  )
  assert.equal(await lab.served('team/regctl', 'v1'), image.manifest.digest)
  const file = join(lab.folder, 'sbom.json')
  await writeFile(file, '{"sbom":true}')
  const type = 'application/vnd.example.sbom'
  await call('artifact', 'put', '--artifact-type', type, '--subject', `${name}:v1`, '--file', file)
  assert.match(await call('artifact', 'tree', `${name}:v1`), new RegExp(type))
  const copy = `${lab.registry}/team/regctl-copy`
  await call('image', 'copy', '--referrers', `${name}:v1`, `${copy}:v1`)
  assert.equal(await lab.served('team/regctl-copy', 'v1'), image.manifest.digest)
  assert.match(await call('artifact', 'tree', `${copy}:v1`), new RegExp(type))
})
