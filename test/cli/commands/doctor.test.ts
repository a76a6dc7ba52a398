import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { type FaultyUpstream, startFaultyUpstream } from '../../../testkit/registries/faulty-upstream.ts'
import { agent as cli, type Ended, MAIN, serving } from '../cli.ts'
import { here as agent } from '../here.ts'

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

/** When this machine stands still the doctor may say that something took too long: that is no answer, and it is asked again. */
async function patiently(ask: () => Promise<Ended>): Promise<Ended> {
  for (;;) {
    const ended = await ask()
    if (!/no answer in time|took longer than|did not end in time/.test(ended.out)) return ended
  }
}

test('a node that is well is told so, and what is wrong is told with what to do', async () => {
  const data = join(folder, 'data')
  const running = await serving(['--config', config, '--data', data])
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
    const ill = await patiently(() => cli(['doctor', ...settings]))
    assert.equal(ill.code, 1)
    assert.match(ill.out, /^ok {13}agent {6}the agent answers at 127\.0\.0\.1:\d+ and is ready/)
    assert.match(
      ill.out,
      /\nproblem {8}runtimes {3}the settings of Docker do not name .*\n {26}means: .*\n {26}do: {4}agent runtime install\n/,
    )
    assert.match(ill.out, /\n\n1 problem\n$/)
    const installed = await agent(['runtime', 'install', '--root', root, '--listen', running.registry])
    assert.equal(installed.code, 0)
    const well = await patiently(() => agent(['doctor', ...settings]))
    assert.deepEqual([well.code, well.err], [0, ''])
    assert.match(well.out, /\n\nnothing is wrong\n$/)
    assert.match(well.out, /upstreams {2}docker\.io \(.*\) answers, and accepts the credentials\n/)
    const { findings, healthy } = JSON.parse(
      (await patiently(() => agent(['doctor', '--json', ...settings]))).out,
    )
    assert.equal(healthy, true)
    const order = ['agent', 'registry', 'runtimes', 'data', 'clock', 'peers', 'upstreams']
    assert.deepEqual([...new Set(findings.map(({ check }: { check: string }) => check))], order)
    for (const finding of findings)
      assert.deepEqual(Object.keys(finding), ['check', 'state', 'found', 'means', 'todo'])
    assert.ok(!`${ill.out}${well.out}${JSON.stringify(findings)}`.includes(PASSWORD))
  } finally {
    await running.kill()
  }
})

test('without an agent all that can be looked at still is', async () => {
  const args = [
    ...['doctor', '--admin', '127.0.0.1:1', '--listen', '127.0.0.1:1', '--config', config],
    ...['--root', root, '--data', join(folder, 'none')],
  ]
  const { code, out, err } = await patiently(() => agent(args))
  assert.deepEqual([code, err], [1, ''])
  assert.match(out, /^problem {8}agent {6}no agent answers at 127\.0\.0\.1:1 \(nobody listens there\)\n/)
  assert.match(out, /accepts the credentials/)
})

test('a file of settings that cannot be used is a problem of its own, wrong flags are wrong usage', async () => {
  const wrong = join(folder, 'wrong.yaml')
  await writeFile(wrong, 'listne: 127.0.0.1:5050\n')
  // Docker Hub would be looked at without the file: its name is not to be asked of anybody.
  const credentials = { HTTPS_PROXY: 'http://127.0.0.1:1' }
  const common = ['doctor', '--admin', '127.0.0.1:1', '--listen', '127.0.0.1:1', '--root', root]
  const told = await patiently(() => agent([...common, '--config', wrong], credentials))
  assert.equal(told.code, 1)
  assert.match(
    told.out,
    /^problem {8}settings {3}.*wrong\.yaml:1: unknown setting "listne"; did you mean listen\?\n/,
  )
  assert.match(told.out, /no agent answers/)
  const [flag, path] = await Promise.all([
    agent([...common, '--max-bytes', 'lots']),
    agent([...common, '--containerd-config', 'config.toml']),
  ])
  assert.deepEqual([flag.code, path.code], [2, 2])
  assert.match(path.err, /--containerd-config is "config\.toml"; expected a path/)
})

test('what an ordinary user may not see is said not to be looked at', async (t) => {
  if (process.getuid?.() !== 0) return t.skip('only root can become another user')
  if (!canStartNode(NOBODY)) return t.skip('another user cannot reach this checkout, or this Node')
  const closed = join(folder, 'closed')
  await mkdir(join(closed, 'etc/docker'), { recursive: true })
  await writeFile(join(closed, 'secret'), 'a secret of more than sixteen bytes\n', { mode: 0o600 })
  await writeFile(join(closed, 'etc/docker/daemon.json'), '{}', { mode: 0o600 })
  await mkdir(join(closed, 'data/below'), { recursive: true })
  await chmod(join(closed, 'data'), 0o700)
  for (const path of [folder, closed, config]) await chmod(path, 0o755)
  const args = [
    ...['doctor', '--admin', '127.0.0.1:1', '--listen', '127.0.0.1:1', '--config', config],
    ...['--root', closed, '--data', join(closed, 'data/below')],
    ...['--peers-secret-file', join(closed, 'secret')],
  ]
  const { code, out } = await patiently(() => cli(args, {}, NOBODY))
  assert.equal(code, 1)
  assert.match(
    out,
    /\nnot looked at {2}runtimes {3}Docker: cannot read \/etc\/docker\/daemon\.json: this user may not/,
  )
  assert.match(out, /\nnot looked at {2}data {7}.* is closed to this user\n/)
  assert.match(out, /\nnot looked at {2}peers {6}the file of the peers’ secret is closed to this user\n/)
})

function canStartNode(user: { uid: number; gid: number }): boolean {
  try {
    execFileSync(process.execPath, ['--check', MAIN], { ...user, stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}
