import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { subscribe } from '../../src/observe/events.ts'
import { Failure } from '../../src/ports/failure.ts'
import type { HeadRequestOptions } from '../../src/ports/registry.ts'
import { createUpstreams } from '../../src/upstream/upstreams.ts'
import { MemoryIntake } from '../../testkit/memory/memory-intake.ts'
import { sha256 } from '../../testkit/registries/faulty/content.ts'
import { startFaultyUpstream } from '../../testkit/registries/faulty-upstream.ts'
import { open } from './opened.ts'

const { signal } = new AbortController()
const BLOB = Buffer.alloc(100_000, 'blob')

test('a request is repeated after two failures of its host', async (t) => {
  const { server, upstreams, repository } = await open(t)
  server.addImage('team/app', 'v1')
  server.fault('v1', { status: 500, times: 2 })
  await upstreams.tag(repository, 'v1', { signal })
  assert.equal(server.count('v1'), 3)
})

test('a question without credentials is asked without those of a file that was deleted after the start', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'leat-upstreams-'))
  t.after(() => rm(folder, { recursive: true }))
  const dockerConfig = join(folder, 'config.json')
  const { server, upstreams, repository, want } = await open(t, { dockerConfig })
  const auth = Buffer.from('u:p').toString('base64')
  await writeFile(dockerConfig, JSON.stringify({ auths: { [server.host]: { auth } } }))
  await upstreams.readFiles()
  await rm(dockerConfig)
  const { manifest } = server.addImage('team/app', 'v1')
  server.requireBasic('u', 'p')
  const questions = [
    (options: HeadRequestOptions) => upstreams.head(want(manifest, 'manifest'), options),
    (options: HeadRequestOptions) => upstreams.tags(repository, options),
    (options: HeadRequestOptions) => upstreams.referrers(repository, manifest, options),
  ]
  for (const ask of questions) {
    await assert.rejects(ask({ signal, isAnonymous: true }), { code: 'denied' })
    await assert.doesNotReject(ask({ signal }))
  }
})

test('hosts are asked in order, and each is a source', async (t) => {
  const mirror = await startFaultyUpstream()
  t.after(() => mirror.close())
  const { server, upstreams, repository, want } = await open(t, { namespace: 'r.example', hosts: [] })
  const both = createUpstreams({
    entries: [{ namespace: 'r.example', tls: false, hosts: [mirror.host, server.host] }],
  })
  t.after(() => both.close())
  const { manifest } = server.addImage('team/app', 'v1')
  assert.equal((await both.tag(repository, 'v1', { signal })).digest, manifest)
  assert.deepEqual([mirror.count('v1'), server.count('v1')], [1, 1])
  assert.deepEqual(
    both.sources(want(manifest)).map(({ name }) => name),
    [mirror.host, server.host],
  )
  assert.deepEqual(
    upstreams.sources(want(manifest)).map(({ name, kind }) => [name, kind]),
    [['r.example', 'upstream']],
  )
})

test('every registry has a source, except one whose name is not a host', async (t) => {
  const upstreams = createUpstreams({})
  t.after(() => upstreams.close())
  const digest = sha256('x')
  const names = (registry: string): string[] =>
    upstreams.sources({ digest, kind: 'blob', repository: { registry, name: 'a' } }).map(({ name }) => name)
  assert.deepEqual(names('ghcr.io'), ['ghcr.io'])
  assert.deepEqual(names('index.docker.io'), ['registry-1.docker.io'])
  assert.deepEqual(names('no host'), [])
  await assert.rejects(upstreams.tag({ registry: 'a/b', name: 'x' }, 'v1', { signal }), { code: 'absent' })
})

test('the number of remembered unlisted registries is bounded', async (t) => {
  const upstreams = createUpstreams({})
  t.after(() => upstreams.close())
  for (let i = 0; i < 1000; i += 1) {
    upstreams.sources({
      digest: sha256('x'),
      kind: 'blob',
      repository: { registry: `r${i}.example`, name: 'a' },
    })
  }
  assert.equal(upstreams.status().length, 256)
  assert.equal(upstreams.status().at(-1)?.host, 'r999.example')
})

test('a prefix is put before the name of the repository, in paths and in token scopes', async (t) => {
  const { server, bring } = await open(t, { prefix: 'mirror/team' })
  const digest = server.addBlob(BLOB)
  server.requireBearer()
  await bring(digest, new MemoryIntake())
  assert.equal(server.requests.at(-1)?.path, `/v2/mirror/team/team/app/blobs/${digest}`)
  assert.ok(
    server.requests.some(({ path }) => path.includes('repository%3Amirror%2Fteam%2Fteam%2Fapp%3Apull')),
  )
})

test('the user agent of an entry is sent', async (t) => {
  const { server, upstreams, repository } = await open(t, { userAgent: 'containerd/2.1' })
  server.addImage('team/app', 'v1')
  await upstreams.tag(repository, 'v1', { signal })
  assert.equal(server.requests[0]?.headers['user-agent'], 'containerd/2.1')
})

test('the freshness of tags comes from the entry, then from the defaults', async (t) => {
  const upstreams = createUpstreams({
    tagTtlMs: 1000,
    entries: [{ namespace: 'registry-1.docker.io', tagTtlMs: 5, staleIfErrorMs: 6 }],
  })
  t.after(() => upstreams.close())
  const of = (registry: string) => upstreams.freshness({ registry, name: 'a' })
  assert.deepEqual(of('docker.io'), { tagTtlMs: 5, staleIfErrorMs: 6 })
  assert.deepEqual(of('ghcr.io'), { tagTtlMs: 1000, staleIfErrorMs: 7 * 86_400_000 })
})

test('the remaining quota is published as an event and part of the status', async (t) => {
  const { server, upstreams, repository } = await open(t)
  server.addImage('team/app', 'v1')
  server.extraHeaders.set('ratelimit-limit', '100;w=21600')
  server.extraHeaders.set('ratelimit-remaining', '42;w=21600')
  const published: unknown[] = []
  t.after(subscribe('upstream.quota', (quota) => quota.host === server.host && published.push(quota)))
  await upstreams.tag(repository, 'v1', { signal })
  const quota = { limit: 100, remaining: 42, windowSeconds: 21_600 }
  assert.deepEqual(published, [{ host: server.host, ...quota }])
  const [status] = upstreams.status()
  assert.deepEqual({ ...status?.quota, at: 0 }, { ...quota, at: 0 })
})

test('a host that keeps failing is not asked until its pause is over, and its state says so', async (t) => {
  const { server, upstreams, repository, bring, want } = await open(t)
  server.addImage('team/app', 'v1')
  const digest = server.addBlob(BLOB)
  const published: boolean[] = []
  t.after(subscribe('upstream.circuit', ({ host, open }) => host === server.host && published.push(open)))
  server.fault(digest, { status: 502 })
  for (let i = 0; i < 5; i += 1)
    await assert.rejects(bring(digest, new MemoryIntake()), { code: 'unavailable' })
  const asked = server.requests.length
  for (const attempt of [
    () => bring(digest, new MemoryIntake()),
    () => upstreams.tag(repository, 'v1', { signal }),
    () => upstreams.head(want(digest), { signal }),
  ]) {
    await assert.rejects(attempt(), (error) => {
      assert.ok(error instanceof Failure)
      assert.equal(error.code, 'busy')
      return (error.details.retryAfterMs ?? 0) > 0
    })
  }
  assert.equal(server.requests.length, asked)
  assert.deepEqual(published, [true])
  const [status] = upstreams.status()
  assert.equal(status?.circuit.state, 'open')
  assert.match(status?.lastError?.message ?? '', /not asked for now/)
})

test('closing ends transfers in progress', async (t) => {
  const { server, upstreams, bring } = await open(t)
  const digest = server.addBlob(BLOB)
  server.fault(digest, { stallAt: 10 })
  const outcome = assert.rejects(bring(digest, new MemoryIntake()), Failure)
  await server.stalled(digest)
  await upstreams.close()
  await outcome
  await assert.rejects(bring(digest, new MemoryIntake()), { code: 'stopping' })
})

test('all requests go through a proxy, except to hosts in its exceptions', async (t) => {
  const server = await startFaultyUpstream()
  t.after(() => server.close())
  const digest = server.addBlob(BLOB)
  const tunnels: string[] = []
  const proxy = createServer((_, res) => res.writeHead(500).end())
  proxy.on('connect', (req, socket) => {
    tunnels.push(req.url ?? '')
    const [host = '', port = ''] = (req.url ?? '').split(':')
    const onward = connect(Number(port), host, () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n')
      onward.pipe(socket).pipe(onward)
    })
    onward.on('error', () => socket.destroy())
    socket.on('error', () => onward.destroy())
  })
  proxy.listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  t.after(() => {
    proxy.close()
    proxy.closeAllConnections()
  })
  const http = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`
  const want = { digest, kind: 'blob', repository: { registry: server.host, name: 'a' } } as const
  for (const exceptions of [undefined, '127.0.0.1']) {
    const upstreams = createUpstreams({
      proxies: { http, ...(exceptions === undefined ? {} : { exceptions }) },
      entries: [{ namespace: server.host, tls: false }],
    })
    t.after(() => upstreams.close())
    const intake = new MemoryIntake()
    await upstreams.sources(want)[0]?.bring(want, intake, { signal })
    assert.ok(intake.bytes.equals(BLOB))
    assert.deepEqual(tunnels, [server.host])
  }
})
