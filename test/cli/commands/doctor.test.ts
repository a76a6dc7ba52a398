import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { type FaultyUpstream, startFaultyUpstream } from '../../../testkit/registries/faulty-upstream.ts'
import { type CommandResult, MAIN, runAgent, startServing } from '../agent-process.ts'
import { runInProcess } from '../run-in-process.ts'

const PASSWORD = 'correct-horse-battery'
const NOBODY = { uid: 65_534, gid: 65_534 }
let folder: string
let upstream: FaultyUpstream
let config: string
let root: string

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'leat-doctor-'))
  upstream = await startFaultyUpstream()
  upstream.requireBasic('ada', PASSWORD)
  config = join(folder, 'config.yaml')
  root = join(folder, 'host')
  await mkdir(join(root, 'etc/docker'), { recursive: true })
  await writeFile(
    config,
    `upstreams:\n  - { namespace: docker.io, host: "${upstream.host}", tls: false, username: ada, password: ${PASSWORD} }\n`,
  )
})

after(async () => {
  await upstream.close()
  await rm(folder, { recursive: true })
})

/** On a busy machine a check may time out; the command is then run again, as that says nothing about the check. */
async function withoutTimeouts(ask: () => Promise<CommandResult>): Promise<CommandResult> {
  for (;;) {
    const ended = await ask()
    if (!/no answer in time|took longer than|did not end in time/.test(ended.out)) return ended
  }
}

test('agent doctor reports a healthy node, and for a problem its effect and the action that solves it', async () => {
  const data = join(folder, 'data')
  const running = await startServing(['--config', config, '--data', data])
  try {
    const settings = [
      '--listen',
      running.registry,
      '--admin',
      running.admin,
      '--config',
      config,
      '--root',
      root,
    ]
    const unused = await withoutTimeouts(() => runInProcess(['doctor', ...settings]))
    assert.equal(unused.code, 0, 'a runtime that is not used is no problem')
    assert.match(unused.out, /\nnote {9}runtimes {3}the settings of Docker do not use /)
    const quiet = await withoutTimeouts(() => runInProcess(['doctor', '--quiet', ...settings]))
    assert.match(
      quiet.out,
      /^warning +runtimes +no runtime of this machine uses .*\n.*\n.*\n\nno problems found, 1 warning\n$/,
    )
    const before = await withoutTimeouts(() => runAgent(['doctor', '--runtime', 'docker', ...settings]))
    assert.equal(before.code, 1)
    assert.match(before.out, /^ok {11}agent {6}the agent at 127\.0\.0\.1:\d+ is ready/)
    assert.match(
      before.out,
      /\nproblem {6}runtimes {3}the settings of Docker do not use .* as a mirror\n {24}effect: .*\n {24}action: agent runtime install\n/,
    )
    assert.match(before.out, /\n\n1 problem\n$/)
    const installed = await runInProcess(['runtime', 'install', '--root', root, '--listen', running.registry])
    assert.equal(installed.code, 0)
    const healthyRun = await withoutTimeouts(() => runInProcess(['doctor', ...settings]))
    assert.deepEqual([healthyRun.code, healthyRun.err], [0, ''])
    assert.match(healthyRun.out, /\n\nno problems found\n$/)
    assert.match(healthyRun.out, /upstreams {2}docker\.io \(.*\) answers, and accepts the credentials\n/)
    const { findings, healthy } = JSON.parse(
      (await withoutTimeouts(() => runInProcess(['doctor', '--json', ...settings]))).out,
    )
    assert.equal(healthy, true)
    assert.ok(findings.every(({ id }: { id: string }) => /^[a-z]+(-[a-z]+)+$/.test(id)))
    const order = ['agent', 'registry', 'runtimes', 'data', 'clock', 'peers', 'upstreams']
    assert.deepEqual([...new Set(findings.map(({ check }: { check: string }) => check))], order)
    for (const finding of findings)
      assert.deepEqual(Object.keys(finding), ['check', 'id', 'state', 'found', 'means', 'todo'])
    assert.ok(!`${before.out}${healthyRun.out}${JSON.stringify(findings)}`.includes(PASSWORD))
  } finally {
    await running.kill()
  }
})

test('without a running agent, the checks that need none still run', async () => {
  const args = [
    ...['doctor', '--admin', '127.0.0.1:1', '--listen', '127.0.0.1:2', '--config', config],
    ...['--root', root, '--data', join(folder, 'none')],
  ]
  const { code, out, err } = await withoutTimeouts(() => runInProcess(args))
  assert.deepEqual([code, err], [1, ''])
  assert.match(out, /^problem {6}agent {6}no agent answers at 127\.0\.0\.1:1 \(connection refused\)\n/)
  assert.match(out, /accepts the credentials/)
})

test('an invalid configuration file is a finding, and an invalid flag is wrong usage', async () => {
  const wrong = join(folder, 'wrong.yaml')
  await writeFile(wrong, 'listne: 127.0.0.1:5050\n')
  // Without the file the doctor would check Docker Hub; this proxy keeps the test from resolving its name.
  const credentials = { HTTPS_PROXY: 'http://127.0.0.1:1' }
  const common = ['doctor', '--admin', '127.0.0.1:1', '--listen', '127.0.0.1:2', '--root', root]
  const invalidFile = await withoutTimeouts(() => runInProcess([...common, '--config', wrong], credentials))
  assert.equal(invalidFile.code, 1)
  assert.match(
    invalidFile.out,
    /^problem {6}settings {3}.*wrong\.yaml:1: unknown setting "listne"; did you mean listen\?\n/,
  )
  assert.match(invalidFile.out, /no agent answers/)
  const [flag, path] = await Promise.all([
    runInProcess([...common, '--max-bytes', 'lots']),
    runInProcess([...common, '--containerd-config', 'config.toml']),
  ])
  assert.deepEqual([flag.code, path.code], [2, 2])
  assert.match(path.err, /--containerd-config is "config\.toml"; expected an absolute path/)
})

test('what an ordinary user may not read is reported as not checked', async (t) => {
  if (process.getuid?.() !== 0) return t.skip('only root can become another user')
  if (!canStartNode(NOBODY)) return t.skip('another user cannot reach this checkout, or this Node')
  const closed = join(folder, 'closed')
  await mkdir(join(closed, 'etc/docker'), { recursive: true })
  await writeFile(join(closed, 'secret'), 'a secret of more than sixteen bytes\n', { mode: 0o600 })
  await writeFile(join(closed, 'etc/docker/daemon.json'), '{}', { mode: 0o600 })
  await mkdir(join(closed, 'data/below'), { recursive: true })
  await chmod(join(closed, 'data'), 0o700)
  const withSource = join(closed, 'config.yaml')
  await writeFile(
    withSource,
    `${await readFile(config, 'utf8')}\nsources: [{ dir: ${join(closed, 'data')} }]\n`,
  )
  for (const path of [folder, closed, withSource]) await chmod(path, 0o755)
  const args = [
    ...['doctor', '--admin', '127.0.0.1:1', '--listen', '127.0.0.1:2', '--config', withSource],
    ...['--root', closed, '--data', join(closed, 'data/below')],
    ...['--peers-secret-file', join(closed, 'secret')],
  ]
  const { code, out } = await withoutTimeouts(() => runAgent(args, {}, NOBODY))
  assert.equal(code, 1)
  assert.match(
    out,
    /\nnot checked {2}runtimes {3}Docker: cannot read \/etc\/docker\/daemon\.json: permission denied/,
  )
  assert.match(out, /\nnot checked {2}data {7}this user may not access .*\n/)
  assert.match(out, /\nnot checked {2}sources {4}this user may not read the source dir .*\n/)
  assert.match(out, /\nnot checked {2}peers {6}this user may not read the file with the peer secret\n/)
})

function canStartNode(user: { uid: number; gid: number }): boolean {
  try {
    execFileSync(process.execPath, ['--check', MAIN], { ...user, stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}
