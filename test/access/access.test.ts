import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { type IncomingMessage, request } from 'node:http'
import { request as requestTls } from 'node:https'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { hash } from 'bcrypt'
import { AgentProcess } from '../../testkit/agent-process.ts'
import { makeAuthority, makeCertificates } from '../../testkit/certificates.ts'
import { addCleanup } from '../../testkit/cleanup.ts'
import { startAgent, startUpstream } from '../agent/running-agent.ts'
import { folder } from '../store/folder.ts'

const PASSWORD = 'wonderland-7'

async function usersFile(t: TestContext): Promise<string> {
  const path = join(await folder(t), 'users')
  await writeFile(path, `alice:${await hash(PASSWORD, 4)}\nbob:${await hash('builder', 4)}\n`)
  return path
}

function basic(user: string, password: string): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`
}

interface Asked {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

function ask(
  port: number,
  path: string,
  { method = 'GET', authorization }: { method?: string; authorization?: string } = {},
): Promise<Asked> {
  const headers = authorization === undefined ? {} : { authorization }
  return new Promise((resolve, reject) => {
    const sent = request(
      { host: '127.0.0.1', port, path, method, headers, agent: false },
      async (response) => {
        let body = ''
        for await (const chunk of response.setEncoding('utf8')) body += chunk
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body })
      },
    )
    sent.on('error', reject)
    sent.end()
  })
}

test('pulls of cached images need the right to pull', async (t) => {
  const upstream = await startUpstream(t)
  const auth = {
    htpasswd: await usersFile(t),
    loopback: 'login',
    rules: [{ who: ['alice'], names: ['up.test/team/*'], actions: ['pull'] }],
  } as const
  const { agent } = await startAgent(t, { upstream, auth })
  const { port } = agent.addresses.registry
  const { config } = upstream.addImage('team/app', 'v1', [Buffer.from('layer')])
  const paths = ['/v2/up.test/team/app/manifests/v1', `/v2/up.test/team/app/blobs/${config}`]
  for (const path of paths) {
    const asked = await ask(port, path)
    assert.deepEqual(
      [asked.status, asked.headers['www-authenticate']],
      [401, 'Basic realm="leat", charset="UTF-8"'],
    )
  }
  assert.deepEqual(upstream.requests, [], 'nobody was asked for a client without the right')
  const alice = { authorization: basic('alice', PASSWORD) }
  for (const path of paths) assert.equal((await ask(port, path, alice)).status, 200)
  for (const path of paths) {
    assert.equal((await ask(port, path)).status, 401)
    assert.equal((await ask(port, path, { authorization: basic('bob', 'builder') })).status, 403)
    assert.equal((await ask(port, path, { authorization: basic('alice', 'x') })).status, 401)
  }
})

test('on loopback, pulls and lists are open by default, and nothing else is', async (t) => {
  const upstream = await startUpstream(t)
  const { agent } = await startAgent(t, { upstream, auth: { htpasswd: await usersFile(t) } })
  const { port } = agent.addresses.registry
  upstream.addImage('team/app', 'v1', [Buffer.from('layer')])
  assert.equal((await ask(port, '/v2/up.test/team/app/manifests/v1')).status, 200)
  const emptyLogin = { authorization: basic('', '') }
  assert.equal((await ask(port, '/v2/up.test/team/app/manifests/v1', emptyLogin)).status, 200)
  assert.equal((await ask(port, '/v2/_catalog')).status, 200)
  assert.equal((await ask(port, '/v2/')).status, 401)
  assert.equal((await ask(port, '/v2/', { authorization: basic('alice', PASSWORD) })).status, 200)
  for (const [method, path] of [
    ['POST', '/v2/up.test/team/app/blobs/uploads/'],
    ['PUT', '/v2/up.test/team/app/manifests/v1'],
    ['DELETE', '/v2/up.test/team/app/manifests/v1'],
  ] as const)
    assert.equal((await ask(port, path, { method })).status, 401, `${method} ${path}`)
})

test('a client is who its certificate says, if an authority of the settings has issued it', async (t) => {
  const upstream = await startUpstream(t)
  upstream.addImage('team/app', 'v1', [Buffer.from('layer')])
  const path = await folder(t)
  const own = makeCertificates()
  const [authority, foreign] = [makeAuthority(), makeAuthority()]
  const files = { cert: own.cert, key: own.key, clients: authority.ca }
  for (const [name, text] of Object.entries(files)) await writeFile(join(path, name), text)
  const { agent } = await startAgent(t, {
    upstream,
    tls: { certFile: join(path, 'cert'), keyFile: join(path, 'key') },
    auth: {
      clientCertificates: { caFile: join(path, 'clients') },
      loopback: 'login',
      rules: [{ who: ['spiffe://example.org/ns/*/sa/puller'], actions: ['pull'] }],
    },
  })
  const { port } = agent.addresses.registry
  const statusFor = (pair: { cert?: string; key?: string }): Promise<number | undefined> =>
    new Promise((resolve, reject) => {
      const options = {
        host: '127.0.0.1',
        port,
        path: '/v2/up.test/team/app/manifests/v1',
        ca: own.ca,
        agent: false,
      }
      requestTls({ ...options, ...pair }, (response) => {
        response.resume()
        resolve(response.statusCode)
      })
        .on('error', reject)
        .end()
    })
  const names = { commonName: 'x', uris: ['spiffe://example.org/ns/prod/sa/puller'] }
  assert.equal(await statusFor(authority.issueToClient(names)), 200)
  assert.equal(await statusFor(foreign.issueToClient(names)), 403)
  assert.equal(await statusFor(authority.issueToClient({ commonName: 'puller' })), 403)
  assert.equal(await statusFor({}), 403)
})

test('client certificates without TLS stop the start', async (t) => {
  const auth = { clientCertificates: { caFile: '/unused' } }
  await assert.rejects(
    startAgent(t, { upstream: await startUpstream(t), auth }),
    /client certificates need TLS/,
  )
})

const NAMES = [
  'team/app',
  'docker.io/library/alpine',
  'up.test/team/app',
  'team/app/../other',
  'team/app%2f..%2fother',
  'TEAM/APP',
  'team//app',
  'a'.repeat(300),
  '%ff',
  'v2/team/app',
  '_catalog',
]
const DIGEST = `sha256:${'0'.repeat(64)}`
const PATHS = [
  '/v2/',
  '/v2',
  '/v2/_catalog',
  '/v2/_catalog?n=1&last=x',
  ...NAMES.flatMap((name) => [
    `/v2/${name}/manifests/v1`,
    `/v2/${name}/manifests/${DIGEST}`,
    `/v2/${name}/blobs/${DIGEST}`,
    `/v2/${name}/blobs/uploads/`,
    `/v2/${name}/blobs/uploads/?mount=${DIGEST}&from=team/app`,
    `/v2/${name}/blobs/uploads/${'0'.repeat(64)}`,
    `/v2/${name}/tags/list`,
    `/v2/${name}/referrers/${DIGEST}`,
    `/v2/${name}/manifests/v1?ns=up.test`,
  ]),
  '//v2/team/app/manifests/v1',
  '/v2/team/app/manifests/v1/../../..',
  '/v1/search',
  '/',
]

test('a client without a right gets nothing but 401, 403 and 404, whatever it asks', async (t) => {
  const upstream = await startUpstream(t)
  upstream.addImage('team/app', 'v1', [Buffer.from('layer')])
  const auth = { htpasswd: await usersFile(t), loopback: 'login', rules: [] } as const
  const { agent } = await startAgent(t, { upstream, auth })
  const { port } = agent.addresses.registry
  const logins = { nobody: undefined, alice: basic('alice', PASSWORD) }
  for (const [who, authorization] of Object.entries(logins)) {
    const login = authorization === undefined ? {} : { authorization }
    for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']) {
      for (const path of PATHS) {
        const { status } = await ask(port, path, { method, ...login })
        // With a login, `/v2/` says that it is right, and what no registry has is refused as such.
        const isAllowed =
          [401, 403, 404].includes(status) || (who === 'alice' && isPlain(method, path, status))
        assert.ok(isAllowed, `${who}: ${method} ${path} is answered with ${status}`)
      }
    }
  }
  assert.deepEqual(upstream.requests, [])
})

/** A right login is told what a path is not. */
function isPlain(method: string, path: string, status: number): boolean {
  if (status === 200) return ['GET', 'HEAD'].includes(method) && ['/v2/', '/v2'].includes(path)
  return status === 405 || status === 400
}

test('no secret is in a log, an error, a report or a metric', async (t) => {
  const data = await folder(t)
  const users = await usersFile(t)
  const hashes = await readFile(users, 'utf8')
  const agent = await AgentProcess.start(data, `auth: { htpasswd: ${users}, loopback: login, rules: [] }\n`)
  addCleanup(t, () => agent.stop())
  const secrets = [
    PASSWORD,
    'wrong-secret-1',
    'secret-token',
    basic('alice', PASSWORD).slice('Basic '.length),
    basic('alice', 'wrong-secret-1').slice('Basic '.length),
    ...hashes.split('\n').map((line) => line.split(':')[1] ?? ''),
  ].filter((secret) => secret !== '')
  const seen: string[] = []
  for (const authorization of [
    basic('alice', PASSWORD),
    basic('alice', 'wrong-secret-1'),
    'Bearer secret-token',
    'Basic wrong-secret-1',
    'wrong-secret-1',
  ]) {
    for (const path of ['/v2/', '/v2/_catalog', '/v2/team/app/manifests/v1', '/v2/team/app/blobs/uploads/'])
      seen.push(JSON.stringify(await ask(agent.port, path, { authorization })))
  }
  for (let n = 0; n < 6; n += 1)
    seen.push(
      JSON.stringify(await ask(agent.port, '/v2/', { authorization: basic('alice', `wrong-secret-1${n}`) })),
    )
  await writeFile(users, `${hashes}\nmallory:wrong-secret-1\n`)
  while (!agent.output.includes('is not one of bcrypt'))
    await ask(agent.port, '/v2/', { authorization: basic('bob', 'builder') })
  for (const path of ['/metrics', '/api/v1/status', '/api/v1/pulls', '/api/v1/why?subject=team/app:v1'])
    seen.push((await ask(agent.adminPort, path)).body)
  const all = [...seen, agent.output].join('\n')
  assert.match(all, /too many wrong logins/)
  for (const secret of secrets) assert.ok(!all.includes(secret), secret)
})
