import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { hash } from 'bcrypt'
import { OCI_MANIFEST } from '../../src/oci/media-types.ts'
import { addCleanup } from '../../testkit/cleanup.ts'
import { digestOf } from '../../testkit/memory/digests.ts'
import { startTokenService } from '../../testkit/token-service.ts'
import { type AgentSetting, startAgent, startUpstream } from '../agent/running-agent.ts'
import { folder } from '../store/folder.ts'

/** Clients that want what others may have. */

interface Sent {
  readonly method?: string
  readonly authorization?: string | undefined
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Buffer
}

interface Got {
  readonly status: number
  readonly body: string
  readonly location: string
}

function sender(port: number) {
  return (path: string, { method = 'GET', authorization, headers = {}, body }: Sent = {}): Promise<Got> =>
    new Promise((resolve, reject) => {
      const all = authorization === undefined ? headers : { ...headers, authorization }
      const sent = request(
        { host: '127.0.0.1', port, path, method, headers: all, agent: false },
        (answer) => {
          let text = ''
          answer.setEncoding('latin1')
          answer.on('data', (chunk: string) => {
            text += chunk
          })
          answer.on('end', () =>
            resolve({ status: answer.statusCode ?? 0, body: text, location: answer.headers.location ?? '' }),
          )
          answer.on('error', reject)
        },
      )
      sent.on('error', reject)
      sent.end(body)
    })
}

function basic(user: string, password: string): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`
}

test('a client to which a registry gives nothing gets nothing of what is cached of it, by any name and header', async (t) => {
  const upstream = await startUpstream(t)
  const layer = Buffer.from('the secret layer')
  const { manifest } = upstream.addImage('team/app', 'v1', [layer])
  upstream.requireBasic('puller', 'own')
  const entry = { namespace: 'up.test', hosts: [upstream.host], tls: false, authorize: 'upstream' } as const
  const { agent } = await startAgent(t, {
    upstream,
    defaultNamespace: 'up.test',
    upstreams: { entries: [{ ...entry, username: 'puller', password: 'own' }] },
  })
  const ask = sender(agent.addresses.registry.port)
  const right = { authorization: basic('puller', 'own') }
  const digest = digestOf(layer)
  for (const path of ['manifests/v1', `blobs/${digest}`])
    assert.equal((await ask(`/v2/up.test/team/app/${path}`, right)).status, 200)
  const logins = [
    ...[undefined, basic('', ''), basic('puller', ''), basic('puller', 'wrong'), basic('', 'own')],
    ...['Bearer own', 'Basic', 'Basic !', `${right.authorization}\u00a0`, right.authorization.toLowerCase()],
  ]
  const names = ['team/app?ns=up.test', 'team/app', 'up.test/team/app', 'proxy/up.test/team/app']
  const parts = [
    ...['manifests/v1', `manifests/${manifest}`, `blobs/${digest}`, 'tags/list', `referrers/${manifest}`],
  ]
  for (const authorization of logins) {
    for (const named of names) {
      const [name = '', query] = named.split('?')
      for (const part of parts) {
        const path = `/v2/${name}/${part}${query === undefined ? '' : `?${query}`}`
        for (const [method, headers] of [
          ['GET', {}],
          ['HEAD', {}],
          ['GET', { range: 'bytes=0-3' }],
          ['GET', { 'if-none-match': `"${digest}"` }],
        ] as const) {
          const got = await ask(path, { method, authorization, headers })
          assert.ok([401, 404, 502].includes(got.status), `${method} ${path}: ${got.status}`)
          assert.ok(!got.body.includes('secret layer'))
        }
      }
    }
    const catalog = await ask('/v2/_catalog', { authorization })
    assert.ok(!catalog.body.includes('team/app'), catalog.body)
  }
})

async function startHostedAgent(t: TestContext, auth: NonNullable<AgentSetting['auth']>) {
  const upstream = await startUpstream(t)
  const hosted = { names: ['team/**', 'secret/**'] }
  const { agent } = await startAgent(t, { upstream, hosted, auth: { loopback: 'login', ...auth } })
  return sender(agent.addresses.registry.port)
}

test('a blob that a client may not pull does not become its own by a mount, a manifest or its digest', async (t) => {
  const users = join(await folder(t), 'users')
  await writeFile(users, `alice:${await hash('a', 4)}\nbob:${await hash('b', 4)}\n`)
  const ask = await startHostedAgent(t, {
    htpasswd: users,
    rules: [
      { who: ['alice'], names: ['team/**'], actions: ['pull', 'push', 'delete', 'list'] },
      { who: ['bob'], names: ['secret/**'], actions: ['pull', 'push'] },
    ],
  })
  const [alice, bob] = [basic('alice', 'a'), basic('bob', 'b')]
  const blob = Buffer.from('a secret blob')
  const digest = digestOf(blob)
  const stored = await ask(`/v2/secret/app/blobs/uploads/?digest=${digest}`, {
    ...{ method: 'POST', authorization: bob, body: blob },
  })
  assert.equal(stored.status, 201)
  const begin = (query: string) =>
    ask(`/v2/team/app/blobs/uploads/${query}`, { method: 'POST', authorization: alice })
  assert.equal((await begin(`?mount=${digest}&from=secret/app`)).status, 403)
  // Without a repository to mount from, the client has to send the blob.
  assert.equal((await begin(`?mount=${digest}`)).status, 202)
  assert.equal((await begin(`?mount=${digest}&from=team/other`)).status, 202)
  const manifest = JSON.stringify({
    ...{ schemaVersion: 2, mediaType: OCI_MANIFEST, layers: [] },
    config: { mediaType: 'application/vnd.oci.empty.v1+json', digest, size: blob.length },
  })
  const pushed = await ask('/v2/team/app/manifests/v1', {
    ...{ method: 'PUT', authorization: alice, headers: { 'content-type': OCI_MANIFEST }, body: manifest },
  })
  assert.equal(pushed.status, 400, pushed.body)
  assert.equal((await ask(`/v2/team/app/blobs/${digest}`, { authorization: alice })).status, 404)
  assert.equal((await ask(`/v2/secret/app/blobs/${digest}`, { authorization: alice })).status, 403)
})

test('a token for another service, of another service, unsigned or expired opens nothing', async (t) => {
  const access = [{ type: 'repository', name: 'team/app', actions: ['pull', 'push', '*'] }]
  const options = { issuer: 'login.test', service: 'here.test' }
  const service = await startTokenService({}, options)
  addCleanup(t, () => service.close())
  const forger = await startTokenService({}, options)
  addCleanup(t, () => forger.close())
  const key = join(await folder(t), 'key.pem')
  await writeFile(key, service.pem)
  const { realm, issuer, service: name } = service
  const ask = await startHostedAgent(t, {
    token: { realm, issuer, service: name, keys: { kind: 'pem', file: key } },
  })
  const begin = (token: string) =>
    ask('/v2/team/app/blobs/uploads/', { method: 'POST', authorization: `Bearer ${token}` })
  const good = await service.sign({ access })
  assert.equal((await begin(good)).status, 202)
  const now = Math.floor(Date.now() / 1000)
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const [, payload = '', signature = ''] = good.split('.')
  const tokens = [
    await service.sign({ access, aud: 'elsewhere.test' }),
    await service.sign({ access, iss: 'other.test' }),
    await service.sign({ access, exp: now - 3600, iat: now - 7200, nbf: now - 7200 }),
    await service.sign({ access, nbf: now + 3600 }),
    await forger.sign({ access }),
    `${encode({ alg: 'none', typ: 'JWT' })}.${payload}.`,
    `${encode({ alg: 'none', typ: 'JWT' })}.${payload}.${signature}`,
    `${encode({ alg: 'HS256', typ: 'JWT' })}.${payload}.${signature}`,
  ]
  for (const [at, token] of tokens.entries()) {
    assert.equal((await begin(token)).status, 401, `token ${at}`)
    const pull = await ask('/v2/team/app/manifests/v1', { authorization: `Bearer ${token}` })
    assert.equal(pull.status, 401, `token ${at}`)
  }
})

test('a hosted name that shadows one of upstream has only what was pushed, whatever was cached before', async (t) => {
  const upstream = await startUpstream(t)
  const { manifest } = upstream.addImage('team/app', 'v1', [Buffer.from('from upstream')])
  const data = await folder(t)
  const before = await startAgent(t, { upstream, data })
  assert.equal((await before.get('team/app/manifests/v1')).status, 200)
  await before.stop({ drainMs: 0 })
  const asked = upstream.requests.length
  const { agent } = await startAgent(t, { upstream, data, hosted: { names: ['up.test/team/**'] } })
  const ask = sender(agent.addresses.registry.port)
  const names = ['/v2/up.test/team/app', '/v2/proxy/up.test/team/app']
  for (const name of names) {
    for (const reference of ['v1', manifest])
      assert.equal((await ask(`${name}/manifests/${reference}`)).status, 404)
  }
  const config = Buffer.from('{}')
  const begun = `/v2/up.test/team/app/blobs/uploads/?digest=${digestOf(config)}`
  assert.equal((await ask(begun, { method: 'POST', body: config })).status, 201)
  const own = JSON.stringify({
    ...{ schemaVersion: 2, mediaType: OCI_MANIFEST, layers: [] },
    config: { mediaType: 'application/vnd.oci.empty.v1+json', digest: digestOf(config), size: 2 },
  })
  const pushed = await ask('/v2/up.test/team/app/manifests/v1', {
    ...{ method: 'PUT', headers: { 'content-type': OCI_MANIFEST }, body: own },
  })
  assert.equal(pushed.status, 201)
  for (const name of names) assert.equal((await ask(`${name}/manifests/v1`)).body, own)
  assert.equal((await ask('/v2/team/app/manifests/v1?ns=up.test')).body, own)
  assert.equal((await ask(`/v2/up.test/team/app/manifests/${manifest}`)).status, 404)
  assert.equal(upstream.requests.length, asked)
})
