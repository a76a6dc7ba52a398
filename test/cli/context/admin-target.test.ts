import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { createAgent } from '../../../src/agent.ts'
import { makeCertificates } from '../../../testkit/certificates.ts'
import { addCleanup } from '../../../testkit/cleanup.ts'
import { folder } from '../../store/folder.ts'
import { runInProcess } from '../run-in-process.ts'

const TOKEN = 'a-token-for-everything'

interface Lab {
  readonly path: (name: string) => string
  readonly admin: string
}

/** An agent that asks for a token over TLS, and its settings file. */
async function startLab(t: TestContext): Promise<Lab> {
  const base = await folder(t)
  const path = (name: string): string => join(base, name)
  const { ca, cert, key } = makeCertificates()
  await Promise.all([
    writeFile(path('token'), TOKEN),
    writeFile(path('read-token'), 'a-token-for-reading-1'),
    writeFile(path('ca.pem'), ca),
    writeFile(path('admin.crt'), cert),
    writeFile(path('admin.key'), key),
  ])
  const agent = createAgent({
    data: path('data'),
    listen: { host: '127.0.0.1', port: 0 },
    admin: { host: '127.0.0.1', port: 0 },
    adminAuth: { tokenFile: path('token'), readTokenFile: path('read-token') },
    adminTls: { certFile: path('admin.crt'), keyFile: path('admin.key') },
  })
  addCleanup(t, () => agent.stop({ drainMs: 0 }))
  await agent.start()
  return { path, admin: `127.0.0.1:${agent.addresses.admin?.port}` }
}

test('commands send the token of a file, over TLS', async (t) => {
  const { path, admin } = await startLab(t)
  const reach = ['--admin', admin, '--admin-ca', path('ca.pem')]
  for (const command of [['status'], ['ls'], ['why', 'alpine'], ['gc'], ['verify'], ['doctor']]) {
    const { out, err } = await runInProcess([...command, ...reach, '--admin-token-file', path('token')])
    assert.doesNotMatch(out + err, /token|certificate/, command.join(' '))
  }
  const env = { LEAT_ADMIN: admin, LEAT_ADMIN_CA: path('ca.pem'), LEAT_ADMIN_TOKEN_FILE: path('token') }
  assert.equal((await runInProcess(['gc'], env)).code, 0)
})

test('a command without the token, or with the one for reading, is told what to do', async (t) => {
  const { path, admin } = await startLab(t)
  const reach = ['--admin', admin, '--admin-ca', path('ca.pem')]
  const none = await runInProcess(['status', ...reach])
  assert.deepEqual(
    [none.code, none.err],
    [
      1,
      'agent: this needs a token; give its file with --admin-token-file, or send it as Authorization: Bearer TOKEN\n',
    ],
  )
  const reading = [...reach, '--admin-token-file', path('read-token')]
  assert.equal((await runInProcess(['status', ...reading])).code, 0)
  const refused = await runInProcess(['gc', ...reading])
  assert.deepEqual(
    [refused.code, refused.err],
    [1, 'agent: this token is for reading only; give the one in tokenFile of adminAuth\n'],
  )
  const missing = await runInProcess(['status', ...reach, '--admin-token-file', path('none')])
  assert.match(missing.err, /cannot be read \(ENOENT\); give --admin-token-file/)
  const noTls = await runInProcess(['status', '--admin', admin])
  assert.match(noTls.err, /cannot be reached .*--admin-ca/)
  const otherCa = path('other.pem')
  await writeFile(otherCa, makeCertificates().ca)
  const foreign = await runInProcess(['status', '--admin', admin, '--admin-ca', otherCa])
  assert.match(foreign.err, /cannot be reached/)
})

test('a command finds token and certificate in the settings file, and sends the token to no other address', async (t) => {
  const { path, admin } = await startLab(t)
  const config = path('config.yaml')
  await writeFile(
    config,
    `admin: ${admin}
adminAuth: { tokenFile: ${path('token')}, readTokenFile: ${path('read-token')} }
adminTls: { cert: ${path('ca.pem')}, key: ${path('admin.key')} }
`,
  )
  assert.equal((await runInProcess(['gc', '--config', config])).code, 0)
  const typed = await runInProcess([
    'status',
    '--config',
    config,
    '--admin',
    admin,
    '--admin-ca',
    path('ca.pem'),
  ])
  assert.match(typed.err, /needs a token/)
})
