import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { addCleanup } from '../../../testkit/cleanup.ts'
import { answers, Daemon, freePort } from '../../../testkit/daemon.ts'
import { requirePrograms, requireRoot, run, tryRun } from '../../../testkit/programs.ts'
import { buildImage, buildIndex, type Image, type Index } from '../../../testkit/registries/image.ts'
import { layoutFiles, partsOf, writeFiles } from '../../../testkit/registries/image-folders.ts'
import { runInProcess } from '../../cli/run-in-process.ts'
import { referrerOf, withSha512 } from '../../export/fixture.ts'
import { containerd } from '../kinds/containerd.ts'
import { docker } from '../kinds/docker.ts'
import { podman } from '../kinds/podman.ts'
import { assertCopied, skopeo as skopeoClient } from '../kinds/skopeo.ts'
import { readyConfig, startNginx } from './nginx.ts'

const app = buildImage('exported', { layerSizes: [3_000_000, 50_000, 100] })
const strong = withSha512(app)
const list = buildIndex('exported list')
const SKOPEO = ['--insecure-policy', 'copy', '--quiet', '--src-tls-verify=false']

async function temporaryFolder(t: TestContext): Promise<string> {
  // Short, because the path of a Unix socket has at most 107 bytes.
  const folder = await mkdtemp(join(tmpdir(), 'leat-'))
  addCleanup(t, () => rm(folder, { recursive: true, force: true, maxRetries: 3 }))
  return folder
}

async function layoutIn(folder: string, images: Readonly<Record<string, Image | Index>>): Promise<string> {
  await writeFiles(join(folder, 'layout'), layoutFiles(images))
  return `oci:${join(folder, 'layout')}`
}

async function agentExport(...args: readonly string[]): Promise<void> {
  const { code, err } = await runInProcess(['export', ...args])
  assert.deepEqual([code, err], [0, ''])
}

test('skopeo reads every form of an export', async (t) => {
  const programs = requirePrograms(t, ['skopeo'])
  if (programs === undefined) return
  const folder = await temporaryFolder(t)
  const from = [
    '--from',
    await layoutIn(folder, {
      'acme/app:v1': app,
      'acme/deep/list:v1': list,
      'acme/strong:v1': strong,
    }),
  ]
  const at = (name: string) => join(folder, name)
  await agentExport(...from, '--to', `oci:${at('oci')}`)
  await agentExport(...from, '--to', `oci-archive:${at('oci.tar')}`)
  await agentExport(...from, '--to', `dir:${at('dirs')}`)
  await agentExport(...from, 'acme/app:v1', '--to', `dir:${at('dir')}`)
  const forms: Readonly<Record<string, (name: string) => string>> = {
    oci: (name) => `oci:${at('oci')}:docker.io/${name}:v1`,
    'oci-archive': (name) => `oci-archive:${at('oci.tar')}:docker.io/${name}:v1`,
    dir: (name) => `dir:${at('dirs')}/${name}/v1`,
  }
  for (const [form, place] of Object.entries(forms)) {
    await t.test(form, async () => {
      const copied = at(`copied-${form}`)
      await run(programs.skopeo, [...SKOPEO, place('acme/app'), `dir:${copied}`])
      await assertCopied(app, copied)
      await run(programs.skopeo, [...SKOPEO, '--all', place('acme/deep/list'), `oci:${copied}-list:v1`])
      for (const { digest, bytes } of partsOf(list)) {
        assert.deepEqual(await readFile(join(`${copied}-list/blobs`, digest.replace(':', '/'))), bytes)
      }
      // skopeo cannot check SHA-512 digests yet.
      const { stdout } = await run(programs.skopeo, ['inspect', '--raw', place('acme/strong')])
      assert.equal(stdout, strong.manifest.bytes.toString())
    })
  }
  await t.test('dir, as one image', async () => {
    await run(programs.skopeo, [...SKOPEO, `dir:${at('dir')}`, `dir:${at('copied-single')}`])
    await assertCopied(app, at('copied-single'))
  })
})

test('ctr imports an archive under the names of its images', async (t) => {
  const programs = requirePrograms(t, ['containerd', 'ctr'])
  if (programs === undefined || !requireRoot(t)) return
  const folder = await temporaryFolder(t)
  const archive = join(folder, 'app.tar')
  await agentExport(
    '--from',
    await layoutIn(folder, { 'acme/app:v1': app }),
    '--to',
    `oci-archive:${archive}`,
  )
  const client = await containerd.start(programs, join(folder, 'containerd'), '127.0.0.1:1')
  addCleanup(t, () => client.stop())
  const ctr = ['--address', join(folder, 'containerd/containerd.sock'), 'images']
  await run(programs.ctr, [...ctr, 'import', '--snapshotter', 'native', archive])
  const { stdout } = await run(programs.ctr, [...ctr, 'ls', '--quiet'])
  assert.equal(stdout.trim(), 'docker.io/acme/app:v1')
})

test('nginx serves an exported tree to every client, from a root that is read-only', async (t) => {
  const names = ['nginx', 'skopeo', 'podman', 'containerd', 'ctr', 'dockerd', 'docker'] as const
  const programs = requirePrograms(t, names)
  if (programs === undefined || !requireRoot(t)) return
  const folder = await temporaryFolder(t)
  const root = join(folder, 'registry')
  const signature = referrerOf(app.manifest)
  const layout = layoutFiles({ 'acme/app:v1': app, 'acme/strong:v1': strong })
  const index = JSON.parse(Buffer.from(layout.get('index.json') ?? '').toString())
  for (const { digest, bytes } of [signature.manifest, ...signature.blobs]) {
    layout.set(`blobs/${digest.replace(':', '/')}`, bytes)
  }
  const { digest, mediaType, bytes } = signature.manifest
  index.manifests.push({ digest, mediaType, size: bytes.length })
  await writeFiles(join(folder, 'layout'), layout.set('index.json', Buffer.from(JSON.stringify(index))))
  const target = ['--from', `oci:${join(folder, 'layout')}`, '--referrers', '--to', `static:${root}`]
  await agentExport(...target)
  // podman and skopeo name the registry in the path.
  await agentExport(...target, '--name-prefix', 'registry.test', '--nginx', join(root, 'registry.conf'))
  const address = await startNginx(t, programs.nginx, folder, root)

  for (const kind of [skopeoClient, podman, containerd, docker]) {
    await t.test(kind.name, async (t) => {
      const client = await kind.start(programs, join(folder, kind.name), address)
      addCleanup(t, () => client.stop())
      for (const reference of ['v1', app.manifest.digest]) {
        await client.pull({ repository: 'acme/app', reference })
        await client.check({ repository: 'acme/app', reference }, app)
        await client.forget()
      }
    })
  }

  await t.test('what the API answers', async () => {
    const get = async (path: string, method = 'GET') => {
      const response = await fetch(`http://${address}${path}`, { method })
      return {
        status: response.status,
        type: response.headers.get('content-type'),
        digest: response.headers.get('docker-content-digest'),
        text: await response.text(),
      }
    }
    const api = '/v2/acme/app'
    const { digest, mediaType } = app.manifest
    const head = await get(`${api}/manifests/v1`, 'HEAD')
    assert.deepEqual([head.status, head.type, head.digest], [200, mediaType, digest])
    assert.equal((await get(`${api}/tags/list`)).text, '{"name":"acme/app","tags":["v1"]}\n')
    const referrers = JSON.parse((await get(`${api}/referrers/${digest}`)).text)
    assert.deepEqual(
      referrers.manifests.map((one: { digest: string }) => one.digest),
      [signature.manifest.digest],
    )
    const none = await get(`${api}/referrers/${signature.manifest.digest}`)
    assert.deepEqual([none.status, JSON.parse(none.text).manifests], [200, []])
    for (const [path, code] of [
      [`${api}/manifests/none`, 'MANIFEST_UNKNOWN'],
      [`${api}/blobs/sha256:${'0'.repeat(64)}`, 'BLOB_UNKNOWN'],
      ['/v2/none/tags/list', 'NAME_UNKNOWN'],
    ] as const) {
      const { status, type, text } = await get(path)
      assert.deepEqual([status, type, JSON.parse(text).errors[0].code], [404, 'application/json', code], path)
    }
    for (const [path, method] of [
      [`${api}/manifests/v1`, 'PUT'],
      [`${api}/blobs/uploads/`, 'POST'],
    ] as const) {
      const { status, text } = await get(path, method)
      assert.deepEqual([status, JSON.parse(text).errors[0].code], [405, 'UNSUPPORTED'])
    }
    const ping = await get('/v2/')
    assert.deepEqual([ping.status, ping.text], [200, '{}'])
    for (const { digest, bytes } of strong.blobs) {
      const response = await fetch(`http://${address}/v2/acme/strong/blobs/${digest}`)
      assert.equal(response.headers.get('docker-content-digest'), digest)
      assert.deepEqual(Buffer.from(await response.arrayBuffer()), bytes)
    }
  })
})

test('a folder that skopeo alone has written becomes a registry', async (t) => {
  const programs = requirePrograms(t, ['nginx', 'skopeo'])
  if (programs === undefined || !requireRoot(t)) return
  const folder = await temporaryFolder(t)
  const layout = await layoutIn(folder, { 'acme/app:v1': app })
  const images = join(folder, 'images')
  for (const path of ['app/v1', 'app/v2', 'acme/deep/app/v1']) {
    await run('mkdir', ['-p', join(images, path)])
    const options = [...SKOPEO, '--format', 'v2s2', '--dest-compress']
    await run(programs.skopeo, [...options, `${layout}:acme/app:v1`, `dir:${join(images, path)}`])
  }
  const root = join(folder, 'registry')
  await agentExport(
    '--from',
    `dir:${images}`,
    '--to',
    `static:${root}`,
    '--nginx',
    join(root, 'registry.conf'),
  )
  const address = await startNginx(t, programs.nginx, folder, root)
  for (const name of ['app', 'library/app', 'acme/deep/app']) {
    const copied = join(folder, `copied-${name.replaceAll('/', '-')}`)
    await run(programs.skopeo, [...SKOPEO, `docker://${address}/${name}:v1`, `dir:${copied}`])
    const files = (await readdir(copied)).sort()
    assert.deepEqual(files, (await readdir(join(images, 'app/v1'))).sort())
    for (const file of files) {
      assert.deepEqual(await readFile(join(copied, file)), await readFile(join(images, 'app/v1', file)), file)
    }
  }
  const { stdout } = await run(programs.skopeo, [
    'list-tags',
    '--tls-verify=false',
    `docker://${address}/app`,
  ])
  assert.deepEqual(JSON.parse(stdout).Tags, ['v1', 'v2'])
  const blobs = join(root, 'v2/app/blobs')
  const [blob = ''] = await readdir(blobs)
  assert.equal((await stat(join(blobs, blob))).nlink, 3)
})

test('nginx accepts the configuration with each option', async (t) => {
  const programs = requirePrograms(t, ['nginx'])
  if (programs === undefined) return
  const folder = await temporaryFolder(t)
  const from = ['--from', await layoutIn(folder, { 'acme/app.x:v1.0_a-b': app, 'acme/list:v1': list })]
  const root = join(folder, 'registry')
  const registry = join(root, 'registry.conf')
  const { file } = await readyConfig(folder, root)
  const variable = (await readFile(file, 'utf8')).replace('include ', 'set $images "/srv";\n    include ')
  for (const options of [
    [],
    ['--name-prefix', 'some/prefix'],
    ['--server-root', '$images'],
    ['--server-root', '/a path/with "quotes"; and {braces}'],
    ['--constants', 'without'],
    ['--constants', 'only'],
  ]) {
    await agentExport(...from, '--to', `static:${root}`, '--nginx', registry, ...options)
    await writeFile(file, variable)
    const { code, stderr } = await tryRun(programs.nginx, ['-t', '-c', file])
    assert.equal(code, 0, `${options.join(' ')}: ${stderr}`)
  }
  // Two folders share the constants.
  await agentExport('--to', `static:${root}`, '--nginx', registry, '--constants', 'only')
  const other = join(folder, 'other')
  await agentExport(
    ...from,
    '--to',
    `static:${other}`,
    '--nginx',
    join(root, 'other.conf'),
    '--constants',
    'without',
  )
  assert.equal((await tryRun(programs.nginx, ['-t', '-c', file])).code, 0)
})

test('Caddy serves an exported tree', async (t) => {
  const programs = requirePrograms(t, ['caddy', 'skopeo'])
  if (programs === undefined) return
  const folder = await temporaryFolder(t)
  const from = ['--from', await layoutIn(folder, { 'acme/app:v1': app, 'acme/list:v1': list })]
  const [root, tree, constants] = [
    join(folder, 'registry'),
    join(folder, 'tree.caddy'),
    join(folder, 'constants.caddy'),
  ]
  await agentExport(
    ...from,
    '--to',
    `static:${root}`,
    '--caddy',
    tree,
    '--constants',
    'without',
    '--server-root',
    '{$IMAGES}',
  )
  await agentExport('--to', `static:${root}`, '--caddy', constants, '--constants', 'only')
  const port = await freePort()
  const address = `127.0.0.1:${port}`
  await writeFile(
    join(folder, 'Caddyfile'),
    `{\n\tadmin off\n\tauto_https off\n}\nhttp://${address} {\n\timport ${tree}\n\timport ${constants}\n}\n`,
  )
  const daemon = new Daemon(
    'caddy',
    programs.caddy,
    ['run', '--adapter', 'caddyfile', '--config', join(folder, 'Caddyfile')],
    {
      env: { IMAGES: root, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder },
    },
  )
  addCleanup(t, () => daemon.stop())
  await daemon.ready(() => answers(`http://${address}/v2/`))
  await run(programs.skopeo, [...SKOPEO, `docker://${address}/acme/app:v1`, `dir:${join(folder, 'copied')}`])
  await assertCopied(app, join(folder, 'copied'))
  await run(programs.skopeo, [
    ...SKOPEO,
    '--all',
    `docker://${address}/acme/list:v1`,
    `oci:${join(folder, 'list')}:v1`,
  ])
  const blob = app.blobs[1]?.digest ?? ''
  const part = await fetch(`http://${address}/v2/acme/app/blobs/${blob}`, {
    headers: { range: 'bytes=10-19' },
  })
  assert.deepEqual([part.status, part.headers.get('docker-content-digest')], [206, blob])
  assert.deepEqual(Buffer.from(await part.arrayBuffer()), app.blobs[1]?.bytes.subarray(10, 20))
  for (const [path, status] of [
    [`blobs/sha256:${'0'.repeat(64)}`, 404],
    ['manifests/none', 404],
    [`referrers/${app.manifest.digest}`, 200],
  ] as const) {
    const response = await fetch(`http://${address}/v2/acme/app/${path}`)
    assert.equal(response.status, status, path)
    assert.ok(JSON.parse(await response.text()))
  }
  assert.equal((await fetch(`http://${address}/v2/acme/app/blobs/uploads/`, { method: 'POST' })).status, 405)
})
