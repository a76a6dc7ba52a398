import assert from 'node:assert/strict'
import { chmod, mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { Credentials } from '../../../src/upstream/auth/credentials.ts'
import { describeUpstream, type UpstreamOptions } from '../../../src/upstream/options/options.ts'
import { createUpstreams } from '../../../src/upstream/upstreams.ts'

const TEAM = { registry: 'r.example', name: 'team/app' }
const auth = { auth: Buffer.from('u:p').toString('base64') }

async function folderFor(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'leat-private-repositories-'))
  t.after(() => rm(folder, { recursive: true }))
  return folder
}

async function configFor(t: TestContext, config: object): Promise<string> {
  const file = join(await folderFor(t), 'config.json')
  await writeFile(file, JSON.stringify(config))
  return file
}

async function isPrivate(t: TestContext, options: UpstreamOptions, repository = TEAM): Promise<boolean> {
  const upstreams = createUpstreams(options)
  t.after(() => upstreams.close())
  return upstreams.isPrivate(repository)
}

test('without credentials no repository is private', async (t) => {
  assert.equal(await isPrivate(t, {}), false)
  assert.equal(await isPrivate(t, { entries: [{ namespace: 'r.example' }] }), false)
  assert.equal(await isPrivate(t, {}, { registry: 'no host', name: 'a' }), false)
})

test('an entry with a user name makes its registry private, even if the password file cannot be read', async (t) => {
  const entry = { namespace: 'r.example', username: 'u' }
  for (const secret of [{ password: 'p' }, { passwordFile: '/nowhere/password' }]) {
    const options = { entries: [{ ...entry, ...secret }] }
    assert.equal(await isPrivate(t, options), true)
    assert.equal(await isPrivate(t, options, { registry: 'other.example', name: 'team/app' }), false)
  }
})

test('credentials from the environment make a registry private, with or without an entry', async (t) => {
  const credentials = {
    'r.example': { username: 'u', password: 'p' },
    'index.docker.io': { username: 'u', password: 'p' },
  }
  for (const entries of [[], [{ namespace: 'r.example' }]]) {
    assert.equal(await isPrivate(t, { credentials, entries }), true)
    assert.equal(await isPrivate(t, { credentials, entries }, { registry: 'docker.io', name: 'a/b' }), true)
    assert.equal(await isPrivate(t, { credentials, entries }, { registry: 'ghcr.io', name: 'a/b' }), false)
  }
})

test('credentials in a Docker config make private the host or repository that they are for', async (t) => {
  const dockerConfig = await configFor(t, {
    auths: {
      'r.example': auth,
      'shared.example/team': auth,
      'https://index.docker.io/v1/': auth,
      'empty.example': {},
    },
  })
  const table: [registry: string, name: string, expected: boolean][] = [
    ['r.example', 'team/app', true],
    ['shared.example', 'team/app', true],
    ['shared.example', 'other/app', false],
    ['docker.io', 'library/alpine', true],
    ['empty.example', 'team/app', false],
    ['ghcr.io', 'team/app', false],
  ]
  for (const [registry, name, expected] of table) {
    assert.equal(await isPrivate(t, { dockerConfig }, { registry, name }), expected, `${registry}/${name}`)
  }
})

test('the hosts and the prefix of an upstream decide, not its namespace', async (t) => {
  const dockerConfig = await configFor(t, { auths: { 'mirror.example/proxy/team': auth } })
  const entry = { namespace: 'r.example', hosts: ['open.example', 'mirror.example'], dockerConfig }
  assert.equal(await isPrivate(t, { entries: [{ ...entry, prefix: 'proxy' }] }), true)
  assert.equal(await isPrivate(t, { entries: [entry] }), false)
  assert.equal(await isPrivate(t, { dockerConfig }), false)
})

test('a helper makes repositories private and is not run', async (t) => {
  const folder = await folderFor(t)
  const asked = join(folder, 'asked')
  const program = join(folder, 'docker-credential-noting')
  await writeFile(program, `#!/bin/sh\ntouch "${asked}"\n`)
  await chmod(program, 0o755)
  const path = process.env['PATH']
  t.after(() => {
    process.env['PATH'] = path
  })
  process.env['PATH'] = `${folder}:${path}`
  const own = await configFor(t, { credHelpers: { 'r.example': 'noting' } })
  assert.equal(await isPrivate(t, { dockerConfig: own }), true)
  assert.equal(await isPrivate(t, { dockerConfig: own }, { registry: 'ghcr.io', name: 'a' }), false)
  const forAll = await configFor(t, { credsStore: 'noting' })
  assert.equal(await isPrivate(t, { dockerConfig: forAll }, { registry: 'ghcr.io', name: 'a' }), true)
  await assert.rejects(stat(asked), { code: 'ENOENT' })
})

test('a file that cannot be read counts as credentials, until it can be read', async (t) => {
  const dockerConfig = join(await folderFor(t), 'config.json')
  const upstreams = createUpstreams({ dockerConfig })
  t.after(() => upstreams.close())
  assert.equal(await upstreams.isPrivate(TEAM), true)
  assert.equal(await upstreams.hasCredentials(TEAM), false, 'a file that is not there contains none')
  await writeFile(dockerConfig, '{ "auths": ')
  assert.equal(await upstreams.isPrivate(TEAM), true)
  assert.equal(await upstreams.hasCredentials(TEAM), true)
  await writeFile(dockerConfig, '{}')
  assert.equal(await upstreams.isPrivate(TEAM), false)
  assert.equal(await upstreams.hasCredentials(TEAM), false)
  await writeFile(dockerConfig, JSON.stringify({ auths: { 'r.example': auth } }))
  assert.equal(await upstreams.isPrivate(TEAM), true)
  await rm(dockerConfig)
  assert.equal(await upstreams.hasCredentials(TEAM), true, 'the last good file counts')
})

test('checks of many registries add no upstream', async (t) => {
  const dockerConfig = await configFor(t, { auths: { 'r7.example': auth } })
  const upstreams = createUpstreams({ dockerConfig })
  t.after(() => upstreams.close())
  const all = Array.from({ length: 1000 }, (_, i) =>
    upstreams.isPrivate({ registry: `r${i}.example`, name: 'a' }),
  )
  const found = (await Promise.all(all)).flatMap((is, i) => (is ? [i] : []))
  assert.deepEqual(found, [7])
  assert.deepEqual(upstreams.status(), [])
})

test('without helpers, exactly the repositories that are requested with a credential are private', async (t) => {
  const dockerConfig = await configFor(t, {
    auths: {
      'a.example': auth,
      'b.example/team': auth,
      'c.example': {},
      'd.example': { identitytoken: 't' },
    },
  })
  const options = { dockerConfig, credentials: { 'e.example': { username: 'u', password: 'p' } } }
  const { signal } = new AbortController()
  for (const registry of ['a', 'b', 'c', 'd', 'e', 'f'].map((letter) => `${letter}.example`)) {
    for (const name of ['team/app', 'app']) {
      const credentials = new Credentials(describeUpstream(options, registry), registry, { signal })
      const found = await credentials.find(name, { signal })
      assert.equal(
        await isPrivate(t, options, { registry, name }),
        found !== undefined,
        `${registry}/${name}`,
      )
    }
  }
})
