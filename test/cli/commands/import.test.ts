import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { createAgent } from '../../../src/agent.ts'
import { ImportLine } from '../../../src/schemas/import-report.ts'
import { addCleanup } from '../../../testkit/cleanup.ts'
import { buildImage } from '../../../testkit/registries/image.ts'
import { layoutFiles, writeArchive } from '../../../testkit/registries/image-folders.ts'
import { runAgent } from '../agent-process.ts'
import { runInProcess } from '../run-in-process.ts'

const app = buildImage('app')
const ANY = { host: '127.0.0.1', port: 0 }

async function setUp(t: TestContext) {
  const folder = await mkdtemp(join(tmpdir(), 'leat-import-cli-'))
  addCleanup(t, () => rm(folder, { recursive: true, force: true }))
  const archive = join(folder, 'images.tar')
  await writeArchive(archive, layoutFiles({ 'acme/app:v1': app, 'acme/app:v2': app }))
  return { folder, archive, data: join(folder, 'data'), source: `oci-archive:${archive}` }
}

async function startAgent(t: TestContext, data: string) {
  // The registry of these images does not exist.
  const upstreams = { entries: [{ namespace: 'docker.io', hosts: ['127.0.0.1:1'], tls: false }] }
  const agent = createAgent({ data, listen: ANY, admin: ANY, upstreams })
  await agent.start()
  addCleanup(t, () => agent.stop({ drainMs: 0 }))
  return agent
}

test('images are imported into a data folder, and an agent serves them without a registry', async (t) => {
  const { data, source } = await setUp(t)
  const { code, out } = await runInProcess(['import', source, '--data', data, '--pin'])
  assert.equal(code, 0)
  assert.match(out, /^stored {2}docker\.io\/acme\/app:v1 {2}sha256:\w+ {2}5 parts, .*, pinned$/m)
  assert.match(out, /^Imported 2 images with .* already stored\) in /m)
  const agent = await startAgent(t, data)
  const { port } = agent.addresses.registry
  const response = await fetch(`http://127.0.0.1:${port}/v2/acme/app/manifests/v1`)
  assert.equal(response.headers.get('docker-content-digest'), app.manifest.digest)
  assert.deepEqual(Buffer.from(await response.arrayBuffer()), app.manifest.bytes)
  const tags = await fetch(`http://127.0.0.1:${port}/v2/acme/app/tags/list`)
  assert.deepEqual(await tags.json(), { name: 'acme/app', tags: ['v1', 'v2'] })
  const admin = `127.0.0.1:${agent.addresses.admin?.port}`
  assert.match((await runInProcess(['why', 'acme/app:v1', '--admin', admin])).out, /imported .* ago/)
  assert.match((await runInProcess(['ls', '--admin', admin])).out, /acme\/app:v1 .* imported /)
})

test('images are imported into a running agent, which is found by its data folder', async (t) => {
  const { data, source } = await setUp(t)
  const agent = await startAgent(t, data)
  const { code, out } = await runInProcess(['import', source, '--json'], { LEAT_DATA: data })
  assert.equal(code, 0)
  const lines = out
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
  assert.ok(lines.every((line) => 'is' in line))
  assert.equal(lines.at(-1).is, 'done')
  const { port } = agent.addresses.registry
  assert.equal((await fetch(`http://127.0.0.1:${port}/v2/acme/app/manifests/v2`)).status, 200)
})

test('the admin API knows nothing of imports', async (t) => {
  const { data } = await setUp(t)
  const agent = await startAgent(t, data)
  const admin = `http://127.0.0.1:${agent.addresses.admin?.port}`
  for (const path of ['/v1/image', '/v1/content', '/api/v1/import']) {
    const headers = { 'content-type': 'application/json' }
    for (const method of ['POST', 'PUT']) {
      const { status } = await fetch(`${admin}${path}`, { method, body: '{}', headers })
      assert.ok(status === 404 || status === 405, `${method} ${path}: ${status}`)
    }
  }
})

test('only the user of the agent may import into it', async (t) => {
  if (process.getuid?.() !== 0) return t.skip('only root can run a command as another user')
  const { folder, data, source } = await setUp(t)
  await startAgent(t, data)
  await (await import('node:fs/promises')).chmod(folder, 0o755)
  const { code, err } = await runAgent(['import', source, '--data', data], {}, { uid: 65_534, gid: 65_534 })
  assert.equal(code, 1)
  assert.match(err, /only the user of the agent, and root, may import/)
})

test('files that are left out end the command with exit code 1', async (t) => {
  const { data, archive } = await setUp(t)
  const [, layer] = app.blobs
  const files = layoutFiles({ 'acme/app:v1': app })
  files.set(`blobs/${layer?.digest.replace(':', '/')}`, Buffer.from('half'))
  await writeArchive(archive, files)
  const { code, out, err } = await runInProcess(['import', `oci-archive:${archive}`, '--data', data])
  assert.deepEqual([code, out], [1, ''])
  assert.match(err, /images\.tar \(sha256:\w+\) is left out\. It has 4 bytes instead of/)
  assert.match(err, /docker\.io\/acme\/app:v1 is not imported/)
})

test('wrong usage is explained', async (t) => {
  const { folder, data, source } = await setUp(t)
  for (const [args, error] of [
    [[], /needs a source such as oci-archive:images\.tar/],
    [['images.tar'], /"images\.tar" is not a source; write one of docker-daemon/],
    [['docker-registry:/x'], /write --from docker-registry:\/x/],
    [['--from', 'oci:/x'], /write agent import oci:\/x/],
    [[source, '--from', 'docker-registry:/x'], /takes a source or --from, not both/],
    [[source, '--move'], /--move is for --from only/],
    [[source, '--as', 'acme/app@sha256:0'], /--as: /],
    [[source, '--platform', 'x'], /--platform: /],
    [[source, '--registry', 'a/b'], /is not a registry/],
    [['docker-daemon:app', '--platform', 'linux/amd64'], /cannot be used with docker-daemon/],
    [['--from', 'docker-registry:/x', '--as', 'a'], /--as names one image/],
  ] as const) {
    const { code, err } = await runInProcess(['import', ...args, '--data', data])
    assert.equal(code, 2, err)
    assert.match(err, error)
  }
  const { code, err } = await runInProcess(['import', source], { LEAT_DATA: join(folder, 'none') })
  assert.equal(code, 1)
  assert.match(err, /is not the data folder of an agent/)
  await writeFile(join(folder, 'file'), '')
  const gone = await runInProcess(['import', 'oci:/nowhere', '--data', data])
  assert.match(gone.err, /\/nowhere does not exist/)
})

test('every line of --json has the shape that is documented', async (t) => {
  const { data, source } = await setUp(t)
  const v = await import('valibot')
  const { out } = await runInProcess(['import', source, '--data', data, '--json'])
  for (const line of out.trimEnd().split('\n'))
    assert.ok(v.safeParse(ImportLine, JSON.parse(line)).success, line)
})
