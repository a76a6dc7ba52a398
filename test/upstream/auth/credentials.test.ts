import assert from 'node:assert/strict'
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { Failure } from '../../../src/ports/failure.ts'
import { runCredentialHelper } from '../../../src/upstream/auth/credential-helper.ts'
import { Credentials } from '../../../src/upstream/auth/credentials.ts'
import { describeUpstream, type UpstreamEntry } from '../../../src/upstream/options/options.ts'

const { signal } = new AbortController()
const path = process.env['PATH']
let folder = ''

/** Installs a helper that records its input and then runs `script`. */
async function installHelper(name: string, script: string): Promise<void> {
  const file = join(folder, `docker-credential-${name}`)
  await writeFile(file, `#!/bin/sh\nread server\necho "$1 $server" >> "${folder}/${name}.asked"\n${script}\n`)
  await chmod(file, 0o755)
}

const requestsOf = async (name: string): Promise<string[]> =>
  (await readFile(join(folder, `${name}.asked`), 'utf8')).trim().split('\n')

const credentialsFor = (entry: Omit<UpstreamEntry, 'namespace'>): Credentials =>
  new Credentials(describeUpstream({ entries: [{ namespace: 'r.io', ...entry }] }, 'r.io'), 'r.io', {
    signal,
  })

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'leat-credentials-'))
  process.env['PATH'] = `${folder}:${path}`
})

after(async () => {
  process.env['PATH'] = path
  await rm(folder, { recursive: true })
})

test('a helper gets the name of the server on stdin', async () => {
  await installHelper('good', `echo '{"ServerURL":"r.io","Username":"u","Secret":"s"}'`)
  assert.deepEqual(await runCredentialHelper('good', 'r.io', { signal }), {
    kind: 'basic',
    username: 'u',
    password: 's',
  })
  assert.deepEqual(await requestsOf('good'), ['get r.io'])
})

test('the user name <token> marks an identity token', async () => {
  await installHelper('identity', `echo '{"Username":"<token>","Secret":"s"}'`)
  assert.deepEqual(await runCredentialHelper('identity', 'r.io', { signal }), {
    kind: 'identity',
    username: '',
    token: 's',
  })
})

test('a helper without credentials is not a failure', async () => {
  await installHelper('none', 'echo "credentials not found in native keychain"; exit 1')
  assert.equal(await runCredentialHelper('none', 'r.io', { signal }), undefined)
})

const BROKEN: readonly [string, string][] = [
  ['failing', 'echo SECRET; exit 3'],
  ['talkative', 'echo "SECRET, not JSON"'],
  ['flooding', 'head -c 200000 /dev/zero'],
  ['incomplete', `echo '{"Username":"SECRET"}'`],
]

for (const [name, script] of BROKEN) {
  test(`a ${name} helper is a failure whose message does not repeat its output`, async () => {
    await installHelper(name, script)
    await assert.rejects(
      runCredentialHelper(name, 'r.io', { signal }),
      (error) =>
        error instanceof Failure &&
        error.message.includes(`docker-credential-${name}`) &&
        !/SECRET/.test(error.message),
    )
  })
}

test('a helper that hangs is killed at its deadline', async () => {
  await installHelper('hanging', 'exec sleep 60')
  await assert.rejects(
    runCredentialHelper('hanging', 'r.io', { signal, deadlineMs: 50 }),
    /did not answer within 50 ms/,
  )
})

test('a helper that is not installed, or has an invalid name, is a failure', async () => {
  await assert.rejects(runCredentialHelper('not-installed', 'r.io', { signal }), /cannot be run/)
  await assert.rejects(
    runCredentialHelper('../../bin/sh', 'r.io', { signal }),
    /invalid name of a credential helper/,
  )
})

test('the user name of an entry wins over its Docker config', async () => {
  const credentials = credentialsFor({ username: 'u', password: 'p', dockerConfig: '/nowhere' })
  assert.deepEqual(await credentials.find('a', { signal }), { kind: 'basic', username: 'u', password: 'p' })
})

test('a password file is read again when it changes, without its line break', async () => {
  const file = join(folder, 'password')
  await writeFile(file, 'one\n')
  const credentials = credentialsFor({ username: 'u', passwordFile: file })
  assert.deepEqual(await credentials.find('a', { signal }), { kind: 'basic', username: 'u', password: 'one' })
  await writeFile(file, 'second\r\n')
  assert.deepEqual(await credentials.find('a', { signal }), {
    kind: 'basic',
    username: 'u',
    password: 'second',
  })
})

test('a Docker config is read again when it changes', async () => {
  const file = join(folder, 'config.json')
  const write = (secret: string): Promise<void> =>
    writeFile(file, JSON.stringify({ auths: { 'r.io': { username: 'u', password: secret } } }))
  await write('one')
  const credentials = credentialsFor({ dockerConfig: file })
  assert.deepEqual(await credentials.find('a', { signal }), { kind: 'basic', username: 'u', password: 'one' })
  await write('second')
  assert.deepEqual(await credentials.find('a', { signal }), {
    kind: 'basic',
    username: 'u',
    password: 'second',
  })
})

test('a missing file is a failure that names the file', async () => {
  await assert.rejects(
    credentialsFor({ dockerConfig: '/nowhere/c.json' }).find('a', { signal }),
    /\/nowhere\/c\.json/,
  )
})

test('a helper runs once for many requests, and again after forgetHelperAnswers', async () => {
  await installHelper('counted', `echo '{"Username":"u","Secret":"s"}'`)
  const file = join(folder, 'helped.json')
  await writeFile(file, JSON.stringify({ credsStore: 'counted' }))
  const credentials = credentialsFor({ dockerConfig: file })
  await Promise.all([credentials.find('a', { signal }), credentials.find('b', { signal })])
  await credentials.find('a', { signal })
  assert.equal((await requestsOf('counted')).length, 1)
  credentials.forgetHelperAnswers()
  await credentials.find('a', { signal })
  assert.equal((await requestsOf('counted')).length, 2)
})
