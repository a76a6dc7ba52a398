import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, beforeEach, test } from 'node:test'
import { OCI_MANIFEST } from '../../../src/oci/media-types.ts'
import { makeCertificates } from '../../../testkit/certificates.ts'
import { requirePrograms } from '../../../testkit/programs.ts'
import type { ImageAdded } from '../../../testkit/registries/faulty/content.ts'
import { type FaultyUpstream, startFaultyUpstream } from '../../../testkit/registries/faulty-upstream.ts'
import { buildImage, buildIndex } from '../../../testkit/registries/image.ts'
import { layoutFiles, writeArchive, writeFiles } from '../../../testkit/registries/image-folders.ts'
import { filesIn, referrerOf } from '../../export/fixture.ts'
import { Node } from '../../warm/node.ts'
import { MAIN, runAgent } from '../agent-process.ts'
import { runInProcess } from '../run-in-process.ts'
import { TerminalSession } from '../terminal-session.ts'

/** `agent export` from a running agent, from a data folder, and from files. */

const KIB = 1024
/** No attempt times out, so a stalled download waits until the test releases it. */
const PATIENCE = { progressTimeoutMs: 600_000, sizeTimeoutMs: 600_000, retryPauseMs: 5 }
const list = buildIndex('list')
let upstream: FaultyUpstream
let added: ImageAdded
let folder: string
/** A folder of its own for each test. */
let work: string

before(async () => {
  upstream = await startFaultyUpstream()
  added = upstream.addImage('app', 'v1', [randomBytes(150 * 1024), randomBytes(100)])
  folder = await mkdtemp(join(tmpdir(), 'leat-export-cli-'))
  await writeFile(
    join(folder, 'config.yaml'),
    `upstreams:\n  - {namespace: up.test, host: "${upstream.host}", tls: false}\n`,
  )
  await writeFiles(
    join(folder, 'layout'),
    layoutFiles({ 'acme/list:v1': list, 'busybox:1.36': buildImage('box') }),
  )
  await writeArchive(join(folder, 'layout.tar'), layoutFiles({ 'acme/list:v1': list }))
})

after(async () => {
  await upstream.close()
  await rm(folder, { recursive: true })
})

beforeEach(async () => {
  work = await mkdtemp(join(folder, 'work-'))
})

function layout(): string {
  return `oci:${join(folder, 'layout')}`
}

test('an image is exported from the running agent, which fetches what it does not have', async (t) => {
  const node = await Node.start(t, upstream)
  const admin = ['--admin', new URL(node.admin).host]
  const target = ['--to', `oci:${join(work, 'layout')}`]
  const { code, out, err } = await runAgent(['export', 'up.test/app:v1', ...target, ...admin])
  assert.deepEqual([code, err], [0, ''])
  assert.match(
    out,
    /^exported {2}up\.test\/app:v1 {2}sha256:[0-9a-f]{64} {2}1 manifest, 3 blobs, 15\d\.\d KiB\nExported 1 image with 15\d\.\d KiB in \d+m?s\.\n$/,
  )
  const again = await runInProcess(['export', 'up.test/app:v1', ...target, ...admin])
  assert.match(again.out, /KiB already there\nExported 1 image with .* of it already there\.\n$/)
  const files = await filesIn(join(work, 'layout'))
  for (const digest of [added.manifest, added.config, ...added.layers]) {
    assert.ok(files.includes(`blobs/${digest.replace(':', '/')}`))
  }
  const missing = await runInProcess(['export', 'up.test/none:v1', ...target, ...admin])
  assert.equal(missing.code, 1)
  assert.match(missing.err, /^agent: up\.test\/none:v1 cannot be exported: .*; check the name\n$/)
})

test('an agent with a certificate is read, too', async (t) => {
  const certificates = makeCertificates(['registry.test'])
  const tls = { certFile: join(work, 'cert.pem'), keyFile: join(work, 'key.pem') }
  await writeFile(tls.certFile, certificates.cert)
  await writeFile(tls.keyFile, certificates.key)
  const node = await Node.start(t, upstream, { tls })
  const { code, err } = await runInProcess([
    ...['export', 'up.test/app:v1', '--to', `oci-archive:${join(work, 'app.tar')}`],
    ...['--admin', new URL(node.admin).host],
  ])
  assert.deepEqual([code, err], [0, ''])
})

test('an image is exported from a data folder while no agent is running', async () => {
  const { code, out } = await runAgent([
    ...['export', 'up.test/app:v1', '--to', `dir:${join(work, 'image')}`, '--json'],
    ...['--data', join(work, 'data'), '--config', join(folder, 'config.yaml')],
  ])
  assert.equal(code, 0)
  const lines = out
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
  assert.deepEqual(
    lines.filter(({ is }) => is !== 'progress').map(({ is }) => is),
    ['image', 'done'],
  )
  assert.ok((await filesIn(join(work, 'image'))).includes('manifest.json'))
})

for (const way of ['a running agent', 'a data folder'] as const) {
  test(`artifacts of every kind are exported with their referrers, from ${way}`, async (t) => {
    const where =
      way === 'a running agent'
        ? ['--admin', new URL((await Node.start(t, upstream)).admin).host]
        : ['--data', join(work, 'data'), '--config', join(folder, 'config.yaml')]
    const repository = way === 'a running agent' ? 'chart' : 'charts'
    const [config, chart] = [Buffer.from('{"name":"chart"}'), randomBytes(5000)]
    const part = (bytes: Buffer, mediaType: string) => ({
      ...{ mediaType, digest: upstream.addBlob(bytes), size: bytes.length },
    })
    const helm = JSON.stringify({
      schemaVersion: 2,
      config: part(config, 'application/vnd.cncf.helm.config.v1+json'),
      layers: [
        part(chart, 'application/vnd.cncf.helm.chart.content.v1.tar+gzip'),
        {
          mediaType: 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip',
          ...{ digest: `sha256:${'1'.repeat(64)}`, size: 1_000_000, urls: ['https://example.com/base'] },
        },
      ],
    })
    const subject = upstream.addManifest(repository, 'v1', helm)
    const signature = JSON.stringify({
      schemaVersion: 2,
      ...{ mediaType: OCI_MANIFEST, artifactType: 'application/vnd.test.signature' },
      config: part(Buffer.from('{}'), 'application/vnd.oci.empty.v1+json'),
      layers: [],
      subject: { mediaType: OCI_MANIFEST, digest: subject, size: helm.length },
    })
    const referrer = upstream.addManifest(repository, undefined, signature)
    const { code, out, err } = await runInProcess([
      ...['export', `up.test/${repository}:v1`, '--referrers', '--platform', 'linux/amd64'],
      ...['--to', `static:${join(work, 'registry')}`, ...where],
    ])
    assert.deepEqual([code, err], [0, ''])
    assert.match(out, /2 manifests, 3 blobs, .*, with 1 referrer, without 1 foreign layer\n/)
    const root = join(work, 'registry/v2', repository)
    assert.equal(await readFile(join(root, 'manifests/v1'), 'utf8'), helm)
    const list = JSON.parse(await readFile(join(root, 'referrers', subject), 'utf8'))
    assert.deepEqual([list.manifests.length, list.manifests[0].digest], [1, referrer])
  })
}

for (const way of ['a running agent', 'a data folder'] as const) {
  test(`referrers that nobody can be asked for are told of, and those that were imported are exported, from ${way}`, async (t) => {
    const signed = buildImage('signed')
    const signature = referrerOf(signed.manifest)
    const files = layoutFiles({ 'gone.test/acme/app:v1': signed })
    for (const { digest, bytes } of [signature.manifest, ...signature.blobs]) {
      files.set(`blobs/${digest.replace(':', '/')}`, bytes)
    }
    const index = JSON.parse(Buffer.from(files.get('index.json') ?? '').toString())
    const { digest, mediaType, bytes } = signature.manifest
    index.manifests.push({ digest, mediaType, size: bytes.length })
    files.set('index.json', Buffer.from(JSON.stringify(index)))
    await writeFiles(join(work, 'signed'), files)
    const data = join(work, 'data')
    const imported = await runInProcess([
      'import',
      `oci:${join(work, 'signed')}`,
      '--referrers',
      '--data',
      data,
    ])
    assert.deepEqual([imported.code, imported.err], [0, ''])
    const gone = { namespace: 'gone.test', hosts: [await closedAddress()], tls: false }
    const config = join(work, 'config.yaml')
    await writeFile(config, `upstreams:\n  - {namespace: gone.test, host: "${gone.hosts[0]}", tls: false}\n`)
    const where =
      way === 'a running agent'
        ? [
            '--admin',
            new URL((await Node.start(t, upstream, { data, upstreams: { entries: [gone] } })).admin).host,
          ]
        : ['--data', data, '--config', config]
    const target = join(work, 'layout')
    const { code, out, err } = await runInProcess([
      ...['export', 'gone.test/acme/app:v1', '--referrers', '--to', `oci:${target}`, ...where],
    ])
    assert.equal(code, 1)
    assert.match(out, /, with 1 referrer\n/)
    assert.match(
      err,
      /^agent: gone\.test\/acme\/app:v1 is exported without the referrers that only its registry knows: .+; export it again when the registry answers, or leave out --referrers\.\n$/,
    )
    assert.ok((await filesIn(target)).includes(`blobs/${digest.replace(':', '/')}`))
    const without = await runInProcess([
      ...['export', 'gone.test/acme/app:v1', '--to', `oci:${join(work, 'without')}`, ...where],
    ])
    assert.deepEqual([without.code, without.err], [0, ''])
  })
}

/** An address at which nothing listens. */
async function closedAddress(): Promise<string> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return `127.0.0.1:${port}`
}

for (const name of ['SIGINT', 'SIGKILL'] as const) {
  test(`after ${name}, the next run writes only what is missing`, async (t) => {
    const repository = name.toLowerCase()
    const image = upstream.addImage(repository, 'v1', [randomBytes(90 * KIB), randomBytes(400 * KIB)])
    const [whole = '', stalling = ''] = image.layers
    upstream.fault(stalling, { stallAt: 200 * KIB, times: 1 })
    const node = await Node.start(t, upstream, { patience: PATIENCE })
    const target = join(work, 'images.tar')
    const args = [
      ...['export', `up.test/${repository}:v1`, '--to', `oci-archive:${target}`],
      ...['--admin', new URL(node.admin).host, '--json'],
    ]
    const child = spawn(process.execPath, [MAIN, ...args], {
      env: { PATH: process.env['PATH'] },
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    t.after(() => child.kill('SIGKILL'))
    let err = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      err += text
    })
    await upstream.stalled(stalling)
    child.kill(name)
    const [code] = await once(child, 'close')
    assert.deepEqual(
      [code, err],
      name === 'SIGINT' ? [130, 'agent: interrupted; completed work is kept\n'] : [null, ''],
    )
    assert.ok(!(await filesIn(work)).includes('images.tar'), 'the archive is there only when it is whole')
    upstream.release()
    const again = await runInProcess(args)
    assert.equal(again.code, 0, again.err)
    const last = JSON.parse(again.out.trimEnd().split('\n').at(-1) ?? '')
    assert.ok(last.is === 'done' && last.bytes - last.writtenBytes > 90 * KIB, `${whole} was written again`)
    assert.deepEqual(await filesIn(work), ['images.tar'])
  })
}

test('on a terminal, the image in progress is drawn as a bar', async (t) => {
  const programs = requirePrograms(t, ['script'])
  if (programs === undefined) return
  const [layer = ''] = upstream.addImage('drawn', 'v1', [randomBytes(300 * KIB)]).layers
  upstream.fault(layer, { stallAt: 150 * KIB, times: 1 })
  const node = await Node.start(t, upstream, { patience: PATIENCE })
  const session = new TerminalSession(t, programs.script, [
    ...['export', 'up.test/drawn:v1', '--to', `oci:${join(work, 'layout')}`],
    ...['--admin', new URL(node.admin).host],
  ])
  await session.until((out) => /up\.test\/drawn:v1 {2}\[=*> *\] +\d+% {2}.* of 300\.\d KiB/.test(out))
  assert.match(session.out, /0 of 1 image, .*\/s/)
  upstream.release()
  assert.equal(await session.exitCode(), 0)
  assert.match(session.out, /exported {2}up\.test\/drawn:v1 {2}sha256:[0-9a-f]{12} {2}/)
})

test('without an image, all images of files are exported, from form to form', async () => {
  const [tree, archive] = [join(work, 'images'), join(work, 'images.tar')]
  const steps = [
    ['--from', layout(), '--to', `dir:${tree}`],
    ['--from', `dir:${tree}`, '--to', `oci-archive:${archive}`],
    ['--from', `oci-archive:${archive}`, '--to', `static:${join(work, 'registry')}`],
  ]
  for (const step of steps) {
    const { code, out, err } = await runInProcess(['export', ...step])
    assert.deepEqual([code, err], [0, ''])
    assert.match(out, /Exported 2 images/)
  }
  const manifest = await readFile(join(work, 'registry/v2/acme/list/manifests/v1'))
  assert.deepEqual(manifest, list.manifest.bytes)

  const one = ['export', '--from', `dir:${join(tree, 'busybox/1.36')}`, '--to', `oci:${join(work, 'one')}`]
  assert.match((await runInProcess(one)).out, /^exported {2}docker\.io\/library\/busybox:1\.36 /)
  const named = ['export', 'acme/list:v1', '--from', layout(), '--to', `dir:${join(work, 'image')}`]
  assert.equal((await runInProcess([...named, '--platform', 'linux/arm64'])).code, 0)
  assert.ok((await filesIn(join(work, 'image'))).includes('manifest.json'), 'the path itself is the image')
})

test('a bundle has only what is new since the last one', async () => {
  const at = (name: string) => join(work, name)
  const first = ['export', 'acme/list:v1', '--from', layout(), '--to', `oci-archive:${at('1.tar')}`]
  assert.equal((await runInProcess([...first, '--list', at('1.json')])).code, 0)
  const second = ['export', '--from', layout(), '--to', `oci:${at('2')}`, '--since', at('1.json')]
  assert.equal((await runInProcess(second)).code, 0)
  const contents: readonly { included: boolean }[] = JSON.parse(
    await readFile(at('2/leat-bundle.json'), 'utf8'),
  ).contents
  const leftOut = new Set(list.images.flatMap(({ blobs }) => blobs.map(({ digest }) => digest)))
  assert.equal(contents.filter(({ included }) => !included).length, leftOut.size)
})

test('the configuration of a server is written with the tree, or later', async () => {
  const [root, nginx, caddy] = [join(work, 'registry'), join(work, 'nginx.conf'), join(work, 'Caddyfile')]
  const options = [
    '--to',
    `static:${root}`,
    '--nginx',
    nginx,
    '--name-prefix',
    '/mirror/',
    '--server-root',
    '$images',
  ]
  assert.equal((await runInProcess(['export', '--from', layout(), ...options])).code, 0)
  const text = await readFile(nginx, 'utf8')
  assert.match(
    text,
    /location = \/v2\/mirror\/acme\/list\/manifests\/v1 \{[^}]*types \{ \}[^}]*root "\$images";/,
  )
  const later = await runInProcess([
    'export',
    '--to',
    `static:${root}`,
    '--caddy',
    caddy,
    '--constants',
    'without',
  ])
  assert.deepEqual([later.code, later.out, later.err], [0, '', ''])
  assert.ok((await readFile(caddy, 'utf8')).includes('/v2/mirror/library/busybox/tags/list'))
  const types = join(work, 'types.tsv')
  assert.equal((await runInProcess(['export', '--to', `static:${root}`, '--types', types])).code, 0)
  assert.match(
    await readFile(types, 'utf8'),
    /^v2\/mirror\/library\/busybox\/tags\/list\tapplication\/json$/m,
  )
})

test('damaged and hostile files are named, and nothing is written outside of the target', async () => {
  const [blob] = list.images[0]?.blobs ?? []
  const files = layoutFiles({ 'acme/list:v1': list })
  const path = `blobs/${blob?.digest.replace(':', '/')}`
  const flipped = Buffer.from(files.get(path) ?? [])
  flipped[0] = (flipped[0] ?? 0) ^ 1
  const evil = new Map([...layoutFiles({ 'acme/list:v1': list }), ['../evil', Buffer.from('evil')]])
  await writeArchive(join(work, 'evil.tar'), evil)
  await writeFiles(join(work, 'damaged'), files.set(path, flipped))
  await writeFiles(join(work, 'lacking'), new Map([...files].filter(([name]) => name !== path)))
  const table: readonly [from: string, message: RegExp][] = [
    ['oci:damaged', new RegExp(`docker\\.io/acme/list:v1 cannot be exported: ${blob?.digest} is damaged`)],
    [
      'oci:lacking',
      /docker\.io\/acme\/list:v1 cannot be exported: .* does not have sha256:\S+, or has it damaged; the image is incomplete where it was read, so copy it there again/,
    ],
    [
      'oci-archive:evil.tar',
      /evil\.tar cannot be read as a tar archive: the name "\.\.\/evil" leads out of the archive/,
    ],
  ]
  for (const [from, message] of table) {
    const place = from.replace(':', `:${work}/`)
    for (const to of ['oci', 'oci-archive', 'static', 'dir']) {
      const { code, err } = await runInProcess([
        ...['export', 'acme/list:v1', '--from', place, '--to', `${to}:${join(work, 'target', to)}`],
      ])
      assert.equal(code, 1)
      assert.match(err, message)
      assert.match(err, /^agent: [^\n]+\n$/, 'one line')
    }
  }
  const written = (await filesIn(work)).filter((name) => !/^(?:damaged|lacking|evil\.tar)/.test(name))
  assert.ok(
    written.every((name) => name.startsWith('target/')),
    String(written),
  )
  assert.ok(
    !written.some((name) => /(?:index\.json|manifest\.json|tags\/list|target\/oci-archive)$/.test(name)),
  )
})

test('wrong usage and unusable files are told in one sentence', async () => {
  await writeFiles(
    join(work, 'empty'),
    new Map([
      ['oci-layout', Buffer.from('{"imageLayoutVersion":"1.0.0"}')],
      ['index.json', Buffer.from('{"manifests":[]}')],
    ]),
  )
  await writeFiles(
    join(work, 'newer'),
    new Map([
      ['oci-layout', Buffer.from('{"imageLayoutVersion":"9.0"}')],
      ['index.json', Buffer.from('{"manifests":[]}')],
    ]),
  )
  await writeFile(join(work, 'text.tar'), 'text')
  const to = ['--to', `oci:${join(work, 'target')}`]
  const table: readonly [code: 1 | 2, args: readonly string[], message: RegExp][] = [
    [2, ['alpine'], /export needs --to with oci:PATH, oci-archive:FILE, dir:PATH or static:DIR/],
    [
      2,
      ['alpine', '--to', 'docker:x'],
      /--to is "docker:x"; expected oci:PATH, oci-archive:FILE, dir:PATH or static:DIR/,
    ],
    [2, ['alpine', '--to', 'oci:'], /--to is "oci:"; expected/],
    [2, ['alpine', '--to', '/srv'], /--to is "\/srv"; expected/],
    [
      2,
      ['alpine', '--to', 'oci:/srv:v1'],
      /cannot have a colon; give the image as an argument, and only the path with --to/,
    ],
    [
      2,
      ['--from', 'static:x', ...to],
      /--from is "static:x"; expected oci:PATH, oci-archive:FILE or dir:PATH/,
    ],
    [2, ['--from', layout(), '--data', work, ...to], /give only one of them/],
    [2, [...to], /export needs an image such as alpine:3\.20, or a list of them with --file/],
    [2, ['UPPER', ...to], /"UPPER" is not an image name/],
    [2, ['alpine', '--platform', 'x', ...to], /--platform: "x" is not a platform/],
    [2, ['alpine', '--nginx', 'x', ...to], /--nginx is for --to static:DIR; leave it out for oci:/],
    [2, ['alpine', '--types', 'x', ...to], /--types is for --to static:DIR; leave it out for oci:/],
    [
      2,
      ['alpine', '--to', 'static:x', '--constants', 'only'],
      /--constants needs --nginx FILE or --caddy FILE/,
    ],
    [
      2,
      ['alpine', '--to', 'static:x', '--nginx', 'y', '--constants', 'all'],
      /--constants is "all"; expected with, without or only/,
    ],
    [2, ['alpine', '--to', 'static:x', '--name-prefix', 'A'], /--name-prefix is "A"; use lower-case letters/],
    [
      2,
      ['alpine', '--to', 'dir:x', '--since', 'y'],
      /--since makes a bundle, which is an oci: or oci-archive: only/,
    ],
    [1, ['--from', `oci:${join(work, 'none')}`, ...to], /none does not exist/],
    [1, ['--from', `dir:${join(work, 'none')}`, ...to], /none does not exist/],
    [
      1,
      ['--from', `oci:${join(work, 'empty')}`, ...to],
      /empty has no whole image with a name; name its images by the annotation/,
    ],
    [
      1,
      ['--from', `oci:${join(work, 'newer')}`, ...to],
      /newer is an OCI layout of version 9\.0; this agent reads version 1\.0\.0/,
    ],
    [
      1,
      ['--from', `oci-archive:${join(work, 'text.tar')}`, ...to],
      /text\.tar cannot be read as a tar archive/,
    ],
    [
      1,
      ['acme/none:v1', '--from', layout(), ...to],
      /docker\.io\/acme\/none:v1 cannot be exported: .* has no docker\.io\/acme\/none:v1; check the name/,
    ],
    [
      1,
      ['alpine', '--admin', '127.0.0.1:1', ...to],
      /no agent answers at 127\.0\.0\.1:1; start one with agent serve, .*--data/,
    ],
  ]
  for (const [expected, args, message] of table) {
    const { code, out, err } = await runInProcess(['export', ...args])
    assert.match(err, message, args.join(' '))
    assert.match(err, /^agent: [^\n]+\n$/, 'one line')
    assert.deepEqual([code, out], [expected, ''])
  }
})
