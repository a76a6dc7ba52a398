import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { makeCertificates } from '../../../testkit/certificates.ts'
import { runAgent } from '../agent-process.ts'
import { runInProcess } from '../run-in-process.ts'

let folder: string

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'leat-runtime-'))
})

after(() => rm(folder, { recursive: true }))

async function host(name: string, ...signs: readonly string[]): Promise<string> {
  const root = join(folder, name)
  for (const sign of ['', ...signs]) await mkdir(join(root, sign), { recursive: true })
  return root
}

test('install, show and uninstall report what they do to each file', async () => {
  const root = await host('one', 'etc/docker')
  const daemon = join(root, 'etc/docker/daemon.json')
  const shown = await runInProcess(['runtime', 'show', '--root', root])
  assert.deepEqual(
    [shown.code, shown.out],
    [
      0,
      'Docker: does not ask 127.0.0.1:5050\n  /etc/docker/daemon.json: would be created\n  /etc/docker/certs.d/_default/hosts.toml: would be created\n  after that: reload Docker: systemctl reload docker\n',
    ],
  )
  const installed = await runAgent(['runtime', 'install', '--root', root, '--listen', '0.0.0.0:6000'])
  assert.match(
    installed.out,
    /^Docker: asks 127\.0\.0\.1:6000 first\n {2}\/etc\/docker\/daemon\.json: created\n {2}\/etc\/docker\/certs\.d\/_default\/hosts\.toml: created\n {2}now: /,
  )
  assert.deepEqual(JSON.parse(await readFile(daemon, 'utf8')), {
    'registry-mirrors': ['http://127.0.0.1:6000'],
  })
  const again = await runInProcess(['runtime', 'show', '--root', root, '--json'], {
    LEAT_LISTEN: '127.0.0.1:6000',
  })
  assert.deepEqual(JSON.parse(again.out), {
    action: 'show',
    dryRun: true,
    runtimes: [
      {
        runtime: 'docker',
        name: 'Docker',
        files: [
          { path: '/etc/docker/daemon.json', state: 'current' },
          { path: '/etc/docker/certs.d/_default/hosts.toml', state: 'current' },
        ],
        isInstalled: true,
        todo: [],
        notes: [],
        pointsHere: true,
        byOthers: [],
      },
    ],
  })
  const uninstalled = await runInProcess(['runtime', 'uninstall', '--root', root])
  assert.match(uninstalled.out, /^Docker\n {2}\/etc\/docker\/daemon\.json: removed\n/)
  assert.deepEqual(await readdir(root, { recursive: true }), ['etc', 'etc/docker'])
  const nothing = await runInProcess(['runtime', 'uninstall', '--root', root])
  assert.deepEqual([nothing.code, nothing.out], [0, 'Docker: nothing to remove\n'])
})

test('wrong usage of agent runtime ends with exit code 2 and one sentence', async () => {
  const table: readonly [readonly string[], RegExp][] = [
    [[], /runtime needs install, uninstall, show or print/],
    [['instal'], /unknown action "instal"; did you mean install\?/],
    [['show', '--runtime', 'rkt'], /--runtime is "rkt"; expected containerd, crio, docker/],
    [['show', '--registry', 'no host'], /--registry is "no host"; expected a registry/],
    [['show', '--listen', '127.0.0.1:0'], /--listen has port 0/],
    [['show', '--root', '/a', '--root', '/b'], /--root is given more than once/],
    [['show', '--ca-file', 'ca.crt'], /--ca-file is only for an agent with TLS; give --tls-cert too/],
    [['show', '--containerd-config', 'x'], /--containerd-config is "x"; expected an absolute path/],
  ]
  const ended = await Promise.all(table.map(([args]) => runInProcess(['runtime', ...args])))
  for (const [i, { code, out, err }] of ended.entries()) {
    const [args, expected] = table[i] ?? assert.fail()
    assert.deepEqual([code, out], [2, ''], args.join(' '))
    assert.match(err, expected)
    assert.match(err, /^agent: [^\n]+\n$/)
  }
})

test('an agent with TLS is configured with an https URL, and its CA is copied without a private key from the same file', async () => {
  const root = await host('tls', 'etc/docker')
  const { ca, cert, key } = makeCertificates(['127.0.0.1', 'node.corp'])
  const at = (name: string) => join(folder, name)
  await writeFile(at('tls.crt'), cert)
  await writeFile(at('chain.crt'), `${cert}${ca}`)
  await writeFile(at('ca.pem'), `${key}${ca}`)
  await writeFile(at('none.pem'), key)
  const install = (...more: readonly string[]) =>
    runInProcess(['runtime', 'install', '--root', root, ...more])
  const copy = () => readFile(join(root, 'etc/docker/certs.d/127.0.0.1:5050/leat-ca.crt'), 'utf8')

  const withoutCa = await install('--tls-cert', at('tls.crt'))
  assert.match(
    withoutCa.out,
    /^Docker: asks https:\/\/127\.0\.0\.1:5050 first\n[\s\S]*note: .* give --ca-file\n$/,
  )
  for (const more of [
    ['--tls-cert', at('tls.crt'), '--ca-file', at('ca.pem')],
    ['--tls-cert', at('chain.crt')],
  ]) {
    assert.equal((await install(...more)).code, 0)
    assert.equal(new X509Certificate(await copy()).fingerprint256, new X509Certificate(ca).fingerprint256)
    assert.doesNotMatch(await copy(), /KEY/)
    await runInProcess(['runtime', 'uninstall', '--root', root])
    await assert.rejects(copy())
  }
  // The certificate comes from a variable, as for a service, and --listen has a host name.
  const named = await runInProcess(['runtime', 'install', '--root', root, '--listen', 'node.corp:5050'], {
    LEAT_TLS_CERT: at('chain.crt'),
  })
  assert.match(named.out, /^Docker: asks https:\/\/node\.corp:5050 first\n/)

  const refused: readonly [readonly string[], RegExp][] = [
    [['--listen', '10.0.0.7:5050', '--tls-cert', at('tls.crt')], /tls\.crt is not valid for 10\.0\.0\.7, so/],
    [['--tls-cert', at('absent.crt')], /absent\.crt cannot be read \(ENOENT\); give --tls-cert a PEM file/],
    [
      ['--tls-cert', at('tls.crt'), '--ca-file', at('none.pem')],
      /none\.pem holds no certificate; give --ca-file/,
    ],
  ]
  for (const [more, expected] of refused) {
    const { code, err } = await install(...more)
    assert.equal(code, 1)
    assert.match(err, expected)
    assert.match(err, /^agent: [^\n]+\n$/)
  }
})

test('show lists the registries for which others have configured the agent as a mirror', async () => {
  const root = await host('some', 'etc/containers')
  const mirror =
    '[[registry]]\nlocation = "ghcr.io"\n[[registry.mirror]]\nlocation = "127.0.0.1:5050/ghcr.io"\n'
  await writeFile(join(root, 'etc/containers/registries.conf'), mirror)
  const all = await runInProcess(['runtime', 'show', '--root', root])
  assert.match(all.out, /^CRI-O and podman: asks 127\.0\.0\.1:5050 first, but only for ghcr\.io\n/)
  const one = await runInProcess(['runtime', 'show', '--root', root, '--only', 'ghcr.io'])
  assert.equal(one.out, 'CRI-O and podman: asks 127.0.0.1:5050 first\n')
})

test('install configures the other runtimes when one fails, and ends with exit code 1', async () => {
  const root = await host('two', 'etc/docker/daemon.json', 'usr/bin/podman')
  const { code, out, err } = await runAgent(['runtime', 'install', '--root', root])
  assert.equal(code, 1)
  assert.equal(err, 'agent: /etc/docker/daemon.json is a folder; expected a file\n')
  assert.match(
    out,
    /CRI-O and podman: asks 127\.0\.0\.1:5050 first\n[\s\S]*Docker: failed, nothing was changed\n/,
  )
  const none = await runInProcess(['runtime', 'show', '--root', await host('three')])
  assert.deepEqual([none.code, none.out], [1, ''])
  assert.match(none.err, /^agent: no container runtime was found below .*; name one with --runtime\n$/)
})

test('with --best-effort a runtime that cannot be configured is told, and is no failure of the command', async () => {
  const root = await host('best-effort', 'etc/docker')
  await writeFile(join(root, 'etc/docker/daemon.json'), 'no JSON')
  const strict = await runInProcess(['runtime', 'install', '--root', root])
  assert.equal(strict.code, 1)
  const tolerant = await runInProcess(['runtime', 'install', '--root', root, '--best-effort'])
  assert.equal(tolerant.code, 0)
  assert.match(tolerant.err, /^agent: .*daemon\.json/)
})

test('a dry run prints the lines that would change', async () => {
  const root = await host('dry', 'etc/docker')
  await writeFile(join(root, 'etc/docker/daemon.json'), '{\n  "debug": true\n}\n')
  const { out } = await runInProcess(['runtime', 'install', '--root', root, '--dry-run'])
  assert.match(
    out,
    / {4}@@ line 2 @@\n {4}- {3}"debug": true\n {4}\+ {3}"debug": true,\n {4}\+ {3}"registry-mirrors"/,
  )
  assert.match(out, / {4}\+ \[host\."http:\/\/127\.0\.0\.1:5050"\]\n/)
})

test('podman and CRI-O are told the upstreams of the settings, and what is named besides', async () => {
  const root = await host('upstreams', 'etc/containers')
  const config = join(folder, 'upstreams.yaml')
  await writeFile(config, 'upstreams:\n  - namespace: reg.corp.example:5000\n')
  const flags = ['--root', root, '--config', config, '--registry', 'other.example']
  assert.equal((await runInProcess(['runtime', 'install', ...flags])).code, 0)
  const text = await readFile(join(root, 'etc/containers/registries.conf.d/50-leat.conf'), 'utf8')
  for (const registry of ['docker.io', 'reg.corp.example:5000', 'other.example'])
    assert.match(text, new RegExp(`prefix = "${registry}"`))
})

test('print gives settings to paste, with the address of the agent and the registries that were named', async () => {
  const { code, out } = await runInProcess([
    'runtime',
    'print',
    'buildkit',
    '--listen',
    '0.0.0.0:6000',
    '--registry',
    'reg.corp:5000',
  ])
  assert.equal(code, 0)
  assert.match(out, /\[registry\."docker\.io"\]\n {2}mirrors = \["127\.0\.0\.1:6000"\]/)
  assert.match(out, /\[registry\."reg\.corp:5000"\]\n {2}mirrors = \["127\.0\.0\.1:6000"\]/)
  for (const [words, message] of [
    [['print', 'tals'], /unknown kind "tals"; did you mean talos\?/],
    [['print'], /print needs to know for what; expected talos, bottlerocket/],
    [['show', 'talos'], /agent runtime show takes no further argument/],
  ] as const) {
    const wrong = await runInProcess(['runtime', ...words])
    assert.equal(wrong.code, 2)
    assert.match(wrong.err, message)
  }
})
