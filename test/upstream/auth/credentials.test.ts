import assert from 'node:assert/strict'
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { Failure } from '../../../src/ports/failure.ts'
import { askHelper } from '../../../src/upstream/auth/credential-helper.ts'
import { Credentials } from '../../../src/upstream/auth/credentials.ts'
import { describeUpstream, type UpstreamEntry } from '../../../src/upstream/options/options.ts'

const { signal } = new AbortController()
const path = process.env['PATH']
let folder = ''

/** A helper that notes what it is asked, then does this. */
async function install(name: string, script: string): Promise<void> {
  const file = join(folder, `docker-credential-${name}`)
  await writeFile(file, `#!/bin/sh\nread server\necho "$1 $server" >> "${folder}/${name}.asked"\n${script}\n`)
  await chmod(file, 0o755)
}

const asked = async (name: string): Promise<string[]> =>
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

test('a helper is asked for a server on its stdin', async () => {
  await install('good', `echo '{"ServerURL":"r.io","Username":"u","Secret":"s"}'`)
  assert.deepEqual(await askHelper('good', 'r.io', { signal }), {
    kind: 'basic',
    username: 'u',
    password: 's',
  })
  assert.deepEqual(await asked('good'), ['get r.io'])
})

test('the user <token> is an identity token', async () => {
  await install('identity', `echo '{"Username":"<token>","Secret":"s"}'`)
  assert.deepEqual(await askHelper('identity', 'r.io', { signal }), {
    kind: 'identity',
    username: '',
    token: 's',
  })
})

test('a helper that has none says so without failing anything', async () => {
  await install('none', 'echo "credentials not found in native keychain"; exit 1')
  assert.equal(await askHelper('none', 'r.io', { signal }), undefined)
})

const BROKEN: readonly [string, string][] = [
  ['failing', 'echo SECRET; exit 3'],
  ['babbling', 'echo "SECRET, not JSON"'],
  ['flooding', 'head -c 200000 /dev/zero'],
  ['incomplete', `echo '{"Username":"SECRET"}'`],
]

for (const [name, script] of BROKEN) {
  test(`a ${name} helper is a failure that does not repeat what it said`, async () => {
    await install(name, script)
    await assert.rejects(
      askHelper(name, 'r.io', { signal }),
      (error) =>
        error instanceof Failure &&
        error.message.includes(`docker-credential-${name}`) &&
        !/SECRET/.test(error.message),
    )
  })
}

test('a helper that hangs is ended at its deadline', async () => {
  await install('hanging', 'exec sleep 60')
  await assert.rejects(
    askHelper('hanging', 'r.io', { signal, deadlineMs: 50 }),
    /did not answer within 50 ms/,
  )
})

test('a helper that is not installed, or cannot be, is a failure', async () => {
  await assert.rejects(askHelper('not-installed', 'r.io', { signal }), /cannot be run/)
  await assert.rejects(askHelper('../../bin/sh', 'r.io', { signal }), /invalid name of a credential helper/)
})

test("an entry's own user goes before its docker config", async () => {
  const credentials = credentialsFor({ username: 'u', password: 'p', dockerConfig: '/nowhere' })
  assert.deepEqual(await credentials.find('a', { signal }), { kind: 'basic', username: 'u', password: 'p' })
})

test('a password file is read again when it changes, without its line end', async () => {
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

test('a docker config is read again when it changes', async () => {
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

test('a file that is not there is a failure that names it', async () => {
  await assert.rejects(
    credentialsFor({ dockerConfig: '/nowhere/c.json' }).find('a', { signal }),
    /\/nowhere\/c\.json/,
  )
})

test('a helper is one process for many questions, and a new one once its answer is distrusted', async () => {
  await install('counted', `echo '{"Username":"u","Secret":"s"}'`)
  const file = join(folder, 'helped.json')
  await writeFile(file, JSON.stringify({ credsStore: 'counted' }))
  const credentials = credentialsFor({ dockerConfig: file })
  await Promise.all([credentials.find('a', { signal }), credentials.find('b', { signal })])
  await credentials.find('a', { signal })
  assert.equal((await asked('counted')).length, 1)
  credentials.forgetHelperAnswers()
  await credentials.find('a', { signal })
  assert.equal((await asked('counted')).length, 2)
})
