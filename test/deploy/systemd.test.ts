import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:https'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { readArguments } from '../../src/cli/arguments.ts'
import { loadSettings } from '../../src/config/load.ts'
import { formatAddress } from '../../src/config/values/address.ts'
import { AgentProcess } from '../../testkit/agent-process.ts'
import { makeCertificates } from '../../testkit/certificates.ts'
import { tryRun } from '../../testkit/programs.ts'
import { DEPLOY } from './support/manifests.ts'

const FOLDER = join(DEPLOY, 'systemd')
const UNIT = join(FOLDER, 'leat.service')
const HANGS = join(FOLDER, 'leat-hangs.service')

test('the unit starts the agent with valid flags, and gives transfers time to end', async () => {
  const text = await readFile(UNIT, 'utf8')
  const [, ...words] = setting(text, 'ExecStart').split(' ')
  const main = words.shift() ?? ''
  assert.ok(main.endsWith('/node_modules/leat/dist/main.js'), main)
  const request = await readArguments(words, { version: '0', width: 100 })
  assert.ok(request.kind === 'run')
  const { values } = request.given
  const settings = await loadSettings({ flags: values, env: {}, defaultFile: '/nowhere' })
  assert.equal(settings.data, `\${STATE_DIRECTORY}`)
  assert.ok(Number.parseInt(setting(text, 'TimeoutStopSec'), 10) * 1000 > settings.drainTimeout)
  assert.equal(setting(text, 'ProtectSystem'), 'strict')
  assert.equal(setting(text, 'DynamicUser'), 'yes')
})

test('the hang check recognises an agent that hangs, but not one that runs or an absent one', async (t) => {
  const text = await readFile(HANGS, 'utf8')
  const condition = /^\/usr\/bin\/node --eval "([^"\\$%]*)" \$\{LEAT_ADMIN\} (\d+)$/.exec(
    setting(text, 'ExecCondition'),
  )
  const [, program = '', seconds = ''] = condition ?? assert.fail('ExecCondition has another form')
  assert.ok(Number(seconds) < Number.parseInt(setting(text, 'TimeoutStartSec'), 10))
  /** Whether systemd would kill the agent. */
  const hangs = async (admin: string, after = seconds): Promise<boolean> => {
    const { code, stderr } = await tryRun(process.execPath, ['--eval', program, admin, after])
    assert.equal(stderr, '')
    return code === 0
  }
  assert.equal(await hangs('127.0.0.1:1'), false)

  const folder = await mkdtemp(join(tmpdir(), 'leat-hangs-'))
  t.after(() => rm(folder, { recursive: true }))
  const agent = await AgentProcess.start(folder, '')
  const admin = new URL(agent.admin).host
  try {
    assert.equal(await hangs(admin), false)
    agent.signal('SIGSTOP')
    assert.equal(await hangs(admin, '0.2'), true)
    agent.signal('SIGCONT')
    assert.equal(await hangs(admin), false)
  } finally {
    agent.signal('SIGCONT')
    await agent.stop()
  }
})

test('the hang check recognises an agent whose admin address speaks TLS, too', async (t) => {
  const program = /--eval "([^"]*)"/.exec(setting(await readFile(HANGS, 'utf8'), 'ExecCondition'))?.[1]
  const { cert, key } = makeCertificates()
  const server = createServer({ cert, key }, (_, response) => response.end())
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.close()
    server.closeAllConnections()
  })
  // The kernel accepts a connection to it, and nothing answers, as with an agent that hangs.
  const silent = createTcpServer(() => undefined)
  silent.listen(0, '127.0.0.1')
  await once(silent, 'listening')
  t.after(() => silent.close())
  const code = async ({ port }: AddressInfo, seconds: string) =>
    (await tryRun(process.execPath, ['--eval', program ?? '', `127.0.0.1:${port}`, seconds])).code
  assert.equal(await code(server.address() as AddressInfo, '100'), 1)
  assert.equal(await code(silent.address() as AddressInfo, '0.2'), 0)
})

test('the hang check applies to the agent of the unit, while that runs', async () => {
  const [text, timer, agent] = await Promise.all(
    [HANGS, join(FOLDER, 'leat-hangs.timer'), UNIT].map((path) => readFile(path, 'utf8')),
  )
  const { admin } = await loadSettings({ flags: {}, env: {}, defaultFile: '/nowhere' })
  assert.equal(setting(text ?? '', 'Environment'), `LEAT_ADMIN=${formatAddress(admin)}`)
  assert.equal(setting(text ?? '', 'ExecStart'), '+/usr/bin/systemctl kill --signal=KILL leat.service')
  assert.equal(setting(timer ?? '', 'PartOf'), 'leat.service')
  assert.equal(setting(agent ?? '', 'Wants', 2), 'leat-hangs.timer')
  assert.equal(setting(agent ?? '', 'Restart'), 'always')
})

test('systemd accepts the units', async (t) => {
  const version = await tryRun('systemd-analyze', ['--version']).catch(() => undefined)
  if (version === undefined) return t.skip('missing: systemd-analyze (Debian package systemd)')
  const units = (await readdir(FOLDER)).map((name) => join(FOLDER, name))
  const { code, stdout, stderr } = await tryRun('systemd-analyze', ['verify', ...units])
  // Node may be elsewhere than /usr/bin on this machine.
  const warnings = (stdout + stderr).split('\n').filter((line) => /leat(?:-hangs)?\./.test(line))
  const own = warnings.filter((line) => !/is not executable/.test(line))
  assert.deepEqual(own, [], `exit code ${code}`)
})

/** The value of a setting; of one that is set several times, the `n`th. */
function setting(text: string, key: string, n = 1): string {
  const values = [...text.matchAll(new RegExp(`^${key}=(.*)$`, 'gm'))].map(([, value]) => value)
  return values[n - 1] ?? assert.fail(`there is no ${key}`)
}
