import assert from 'node:assert/strict'
import { appendFile, chmod, mkdir, rm, stat, symlink } from 'node:fs/promises'
import { test } from 'node:test'
import fc from 'fast-check'
import { RuntimeFailure } from '../../src/runtimes/files/failure.ts'
import { LEDGER_PATH } from '../../src/runtimes/files/ledger.ts'
import { RUNTIMES, type Wanted } from '../../src/runtimes/files/plan.ts'
import { WELL_KNOWN } from '../../src/runtimes/kinds/registries-conf.ts'
import { install, type RuntimeReport, show, uninstall } from '../../src/runtimes/settings.ts'
import { Host, URL, WANTED } from './host.ts'
import { parsed } from './parsed.ts'

const CONFIG = '/etc/containerd/config.toml'
const CERTS = '/etc/containerd/certs.d'
const ALL = `${CERTS}/_default/hosts.toml`
const DROP_IN = '/etc/containers/registries.conf.d/50-leat.conf'
const DAEMON = '/etc/docker/daemon.json'
const CONFIG_2 = `version = 2\n[plugins."io.containerd.grpc.v1.cri".registry]\n  config_path = "${CERTS}"\n`

/** Each writes some dozen files through to the disk. More of them, or others: LEAT_RUNS=500 LEAT_SEED=8. */
const RUNS = Number(process.env['LEAT_RUNS'] ?? 15)
const SEED = Number(process.env['LEAT_SEED'] ?? 7)

function options(host: Host) {
  return { root: host.root, runtimes: RUNTIMES, isRehearsal: false }
}

function states(reports: readonly RuntimeReport[]): Record<string, string> {
  return Object.fromEntries(reports.flatMap(({ files }) => files.map(({ path, state }) => [path, state])))
}

function hostsIn(text: string | undefined): readonly string[] {
  return Object.keys(parsed(text ?? '')['host'] as object)
}

test('three runtimes are told, told again without a change, and told no longer', async (t) => {
  const host = await Host.make(t, { [CONFIG]: CONFIG_2, '/etc/docker/key.json': '{}' })
  const before = await host.everything()
  const first = await install(WANTED, options(host))
  assert.deepEqual(states(first), { [ALL]: 'created', [DROP_IN]: 'created', [DAEMON]: 'created' })
  assert.ok(first.every(({ pointsHere, todo }) => pointsHere === true && todo.length === 0))
  assert.match(first[2]?.followUp ?? '', /systemctl reload docker/)
  const installed = await host.everything()

  const second = await install(WANTED, options(host))
  assert.deepEqual(new Set(Object.values(states(second))), new Set(['current']))
  assert.ok(second.every(({ followUp }) => followUp === undefined))
  assert.deepEqual(await host.everything(), installed)

  assert.deepEqual(
    new Set(Object.values(states(await uninstall(WANTED, options(host))))),
    new Set(['removed']),
  )
  assert.deepEqual(await host.everything(), before)
  assert.deepEqual(states(await uninstall(WANTED, options(host))), {})
})

test('another address takes the place of the one before', async (t) => {
  const theirs = '{\n  "debug": true\n}\n'
  const host = await Host.make(t, { [CONFIG]: CONFIG_2, [DAEMON]: theirs })
  const before = await host.everything()
  await install(WANTED, options(host))
  const moved = { ...WANTED, address: '127.0.0.1:6060' }
  assert.deepEqual(new Set(Object.values(states(await install(moved, options(host))))), new Set(['changed']))
  assert.deepEqual(hostsIn(await host.read(ALL)), ['http://127.0.0.1:6060'])
  assert.deepEqual(JSON.parse((await host.read(DAEMON)) ?? ''), {
    debug: true,
    'registry-mirrors': ['http://127.0.0.1:6060'],
  })
  assert.ok(!(await host.read(DROP_IN))?.includes('5050'))
  await uninstall(moved, options(host))
  assert.deepEqual(await host.everything(), before)
})

test('files of single registries, which hide the one for all, get the mirror too and keep what they have', async (t) => {
  const single = '# ours\nserver = "https://corp:5000"\n[host."https://near"]\n  skip_verify = true\n'
  const host = await Host.make(t, {
    [CONFIG]: CONFIG_2,
    [`${CERTS}/corp_5000_/hosts.toml`]: single,
    [`${CERTS}/docker.io/hosts.toml`]: 'server = "https://mirror.corp"',
    [`${CERTS}/index.docker.io/hosts.toml`]: 'server = "https://registry-1.docker.io"',
    [`${CERTS}/certs.only/ca.crt`]: 'PEM',
    [`${CERTS}/broken/hosts.toml`]: 'no toml',
  })
  await mkdir(host.at(`${CERTS}/empty`))
  const before = await host.everything()
  const [report] = await install(WANTED, { ...options(host), runtimes: ['containerd'] })
  assert.deepEqual(states(report === undefined ? [] : [report]), {
    [`${CERTS}/certs.only/hosts.toml`]: 'created',
    [`${CERTS}/corp_5000_/hosts.toml`]: 'changed',
    [`${CERTS}/docker.io/hosts.toml`]: 'changed',
    [`${CERTS}/empty/hosts.toml`]: 'created',
    [`${CERTS}/index.docker.io/hosts.toml`]: 'changed',
    [ALL]: 'created',
  })
  assert.deepEqual(hostsIn(await host.read(`${CERTS}/corp_5000_/hosts.toml`)), [URL, 'https://near'])
  assert.deepEqual(parsed((await host.read(`${CERTS}/certs.only/hosts.toml`)) ?? '')['ca'], ['ca.crt'])
  assert.match(report?.todo.join() ?? '', /broken\/hosts\.toml:1 is not TOML/)
  assert.match(
    report?.notes.join() ?? '',
    /"https:\/\/mirror\.corp" as the server for docker\.io; the agent asks docker\.io/,
  )
  assert.equal(report?.notes.length, 1)
  await uninstall(WANTED, options(host))
  assert.deepEqual(await host.everything(), before)
})

test('a mirror for some registries is put where containerd looks for them, and nowhere else', async (t) => {
  const host = await Host.make(t, {
    [CONFIG]: CONFIG_2,
    [`${CERTS}/quay.io/hosts.toml`]: 'server = "https://quay.io"\n',
  })
  const before = await host.everything()
  const some: Wanted = { ...WANTED, registries: ['ghcr.io', 'localhost:5000', 'quay.io'] }
  const only = { ...options(host), runtimes: ['containerd', 'docker'] as const }
  const reports = await install(some, only)
  assert.deepEqual(states(reports), {
    [`${CERTS}/ghcr.io/hosts.toml`]: 'created',
    [`${CERTS}/localhost_5000_/hosts.toml`]: 'created',
    [`${CERTS}/quay.io/hosts.toml`]: 'changed',
  })
  assert.match(reports[1]?.notes.join() ?? '', /Docker has mirrors for docker\.io and no other/)
  assert.equal((await show(WANTED, only))[0]?.pointsHere, true, 'show remembers for which it was asked')
  assert.deepEqual(states(await install(WANTED, { ...only, runtimes: ['containerd'] })), {
    [`${CERTS}/ghcr.io/hosts.toml`]: 'removed',
    [`${CERTS}/localhost_5000_/hosts.toml`]: 'removed',
    [`${CERTS}/quay.io/hosts.toml`]: 'current',
    [ALL]: 'created',
  })
  await uninstall(WANTED, only)
  assert.deepEqual(await host.everything(), before)
})

test('a folder of its own for one registry would hide the one for all, so it is refused', async (t) => {
  const host = await Host.make(t, { [CONFIG]: CONFIG_2, [ALL]: '[host."https://near"]\n' })
  const before = await host.everything()
  const [report] = await install(
    { ...WANTED, registries: ['ghcr.io'] },
    { ...options(host), runtimes: ['containerd'] },
  )
  assert.match(report?.failure ?? '', /_default is what containerd uses for ghcr\.io now/)
  assert.deepEqual(await host.everything(), before)
})

test('of several folders the first that has a host is looked into, so the one for all goes behind them', async (t) => {
  const local = '[plugins."io.containerd.cri.v1.images"]\n  use_local_image_pull = true\n'
  const list = `[plugins."io.containerd.cri.v1.images".registry]\n  config_path = "/a:/b:/c"\n`
  const host = await Host.make(t, {
    [CONFIG]: `version = 3\n${local}${list}`,
    '/a/one.io/hosts.toml': '',
    '/b/two.io/hosts.toml': '# two',
  })
  const only = { ...options(host), runtimes: ['containerd'] as const }
  assert.deepEqual(Object.keys(states(await install(WANTED, only))), [
    '/a/one.io/hosts.toml',
    '/b/two.io/hosts.toml',
    '/c/_default/hosts.toml',
  ])
  await uninstall(WANTED, only)
  await host.write('/b/_default/hosts.toml', '# all')
  await host.write('/c/three.io/hosts.toml', '# hidden')
  assert.deepEqual(Object.keys(states(await install(WANTED, only))), [
    '/a/one.io/hosts.toml',
    '/b/_default/hosts.toml',
    '/b/two.io/hosts.toml',
  ])
})

test('the file for podman and CRI-O is read after each whose entries it replaces, and moves when it must', async (t) => {
  const folder = '/etc/containers/registries.conf.d'
  const theirs = '[[registry]]\nlocation = "docker.io"\nmirror-by-digest-only = true\n'
  const host = await Host.make(t, {
    [`${folder}/10-a.conf`]: theirs,
    [`${folder}/99-b.conf`]: '# nothing\n',
    '/etc/crio/x': '',
  })
  const before = await host.everything()
  const only = { ...options(host), runtimes: ['crio'] as const }
  const [report] = await install(WANTED, only)
  assert.deepEqual(states(report === undefined ? [] : [report]), { [DROP_IN]: 'created' })
  assert.match(report?.followUp ?? '', /systemctl reload crio/)
  await host.write(`${folder}/99-b.conf`, theirs)
  assert.deepEqual(states(await install(WANTED, only)), {
    [DROP_IN]: 'removed',
    [`${folder}/99-b.leat.conf`]: 'created',
  })
  assert.equal((await show(WANTED, only))[0]?.pointsHere, true)
  await uninstall(WANTED, only)
  await host.write(`${folder}/99-b.conf`, '# nothing\n')
  assert.deepEqual(await host.everything(), before)
})

test('podman and CRI-O cannot speak plain HTTP to another machine, and that is said', async (t) => {
  const host = await Host.make(t)
  const far = { ...WANTED, address: '10.0.0.7:5050', isLoopback: false }
  const [report] = await install(far, { ...options(host), runtimes: ['crio'] })
  assert.match(report?.todo.join() ?? '', /only TLS to 10\.0\.0\.7:5050.*--tls-cert/)
  assert.ok(!(await host.read(DROP_IN))?.includes('insecure'))
})

test('the list that containerd 2.x takes for one folder is found, and made one on demand', async (t) => {
  const config = `version = 3\n[plugins.'io.containerd.cri.v1.images'.registry]\n  config_path = '${CERTS}:/etc/docker/certs.d' # default\n`
  const host = await Host.make(t, { [CONFIG]: config })
  const before = await host.everything()
  const only = { ...options(host), runtimes: ['containerd'] as const }
  const [found] = await install(WANTED, only)
  assert.equal(found?.pointsHere, false)
  assert.match(
    found?.todo.join() ?? '',
    /names 2 folders, which containerd 2\.1 and later take for the name of one/,
  )
  const [made] = await install({ ...WANTED, writeConfig: true }, only)
  assert.deepEqual([made?.pointsHere, made?.todo], [true, []])
  assert.match(made?.followUp ?? '', /systemctl restart containerd/)
  const path = parsed((await host.read(CONFIG)) ?? '') as { plugins: Record<string, { registry: object }> }
  assert.deepEqual(path.plugins['io.containerd.cri.v1.images']?.registry, { config_path: CERTS })
  assert.equal((await install(WANTED, only))[0]?.pointsHere, true, 'what was allowed once stays')
  await uninstall(WANTED, only)
  assert.deepEqual(await host.everything(), before)
})

test('config_path is added to an imported file that would replace it', async (t) => {
  const imported = 'version = 2\n[plugins."io.containerd.grpc.v1.cri"]\n  sandbox_image = "x"\n'
  const host = await Host.make(t, {
    [CONFIG]: `imports = ["conf.d/*.toml"]\n${CONFIG_2}`,
    '/etc/containerd/conf.d/gpu.toml': imported,
    '/etc/containerd/conf.d/other.txt': 'x',
  })
  const before = await host.everything()
  const only = { ...options(host), runtimes: ['containerd'] as const }
  assert.match(
    (await install(WANTED, only))[0]?.todo.join() ?? '',
    /not set in \/etc\/containerd\/conf\.d\/gpu\.toml/,
  )
  const [report] = await install({ ...WANTED, writeConfig: true }, only)
  assert.equal(states(report === undefined ? [] : [report])['/etc/containerd/conf.d/gpu.toml'], 'changed')
  assert.equal(report?.pointsHere, true)
  await uninstall(WANTED, only)
  assert.deepEqual(await host.everything(), before)
})

test('after other hands have changed the files, only ours goes and it is said', async (t) => {
  const files = {
    [CONFIG]: 'version = 2\n',
    [`${CERTS}/docker.io/hosts.toml`]: 'server = "https://registry-1.docker.io"',
    [DAEMON]: '{\n  "debug": true\n}\n',
  }
  const host = await Host.make(t, files)
  await install({ ...WANTED, writeConfig: true }, options(host))
  await appendFile(host.at(CONFIG), '[debug]\n  level = "debug"\n')
  await appendFile(host.at(`${CERTS}/docker.io/hosts.toml`), '\n[host."https://new"]\n')
  await appendFile(host.at(ALL), '[host."https://other"]\n')
  await appendFile(host.at(DROP_IN), '[[registry]]\nlocation = "theirs.example"\n')
  await host.write(DAEMON, `{\n  "debug": false,\n  "registry-mirrors": ["${URL}", "https://new"]\n}\n`)
  const reports = await uninstall(WANTED, options(host))
  assert.deepEqual(new Set(Object.values(states(reports))), new Set(['cut']))
  assert.equal(await host.read(CONFIG), 'version = 2\n[debug]\n  level = "debug"\n')
  assert.equal(
    await host.read(`${CERTS}/docker.io/hosts.toml`),
    `${files[`${CERTS}/docker.io/hosts.toml`]}\n[host."https://new"]\n`,
  )
  assert.equal(await host.read(ALL), '[host."https://other"]\n')
  assert.equal(await host.read(DROP_IN), '[[registry]]\nlocation = "theirs.example"\n')
  assert.equal(await host.read(DAEMON), '{\n  "debug": false,\n  "registry-mirrors": ["https://new"]\n}\n')
  assert.equal(await host.read(LEDGER_PATH), undefined)
})

test('other hands may also have put it back, removed it, or spoiled our marks', async (t) => {
  const host = await Host.make(t, { [CONFIG]: CONFIG_2, [DAEMON]: '{}', [`${CERTS}/a/hosts.toml`]: '# a\n' })
  await install(WANTED, options(host))
  await host.write(DAEMON, '{}')
  await rm(host.at(DROP_IN))
  const spoiled = (await host.read(ALL))?.replace('# leat: end\n', '') ?? ''
  await host.write(ALL, spoiled)
  const reports = await uninstall(WANTED, options(host))
  assert.deepEqual(states(reports), {
    [`${CERTS}/a/hosts.toml`]: 'restored',
    [DROP_IN]: 'gone',
    [DAEMON]: 'restored',
  })
  assert.match(reports[0]?.failure ?? '', /_default\/hosts\.toml has lost some of the comments/)
  assert.equal(await host.read(ALL), spoiled)
})

test('what is remembered is put back even if containerd’s configuration can no longer be read', async (t) => {
  const host = await Host.make(t, { [CONFIG]: 'version = 2\n' })
  await install({ ...WANTED, writeConfig: true }, { ...options(host), runtimes: ['containerd'] })
  await appendFile(host.at(CONFIG), 'oops\n')
  const [report] = await uninstall(WANTED, options(host))
  assert.deepEqual(report?.failure, undefined)
  assert.equal(await host.read(CONFIG), 'version = 2\noops\n')
  assert.equal(await host.read(ALL), undefined)
})

test('a write that was cut short is undone as well', async (t) => {
  const host = await Host.make(t, { [DAEMON]: '{ "debug": true }' })
  const before = await host.everything()
  const only = { ...options(host), runtimes: ['docker'] as const }
  await install(WANTED, only)
  const first = (await host.read(DAEMON)) ?? ''
  // A folder in the way of the new file: what it is to be is remembered, and the file is what it was.
  await mkdir(`${host.at(DAEMON)}.leat-${process.pid}`)
  const [failed] = await install({ ...WANTED, address: '127.0.0.1:6060' }, only)
  assert.match(failed?.failure ?? '', /cannot write \/etc\/docker\/daemon\.json/)
  await rm(`${host.at(DAEMON)}.leat-${process.pid}`, { recursive: true })
  assert.equal(await host.read(DAEMON), first)
  await uninstall(WANTED, only)
  assert.deepEqual(await host.everything(), before)
})

test('what install has put in is found also when nobody remembers it', async (t) => {
  const host = await Host.make(t, { [CONFIG]: CONFIG_2, [`${CERTS}/a/hosts.toml`]: '# a' })
  await install(WANTED, { ...options(host), runtimes: ['containerd', 'crio'] })
  await rm(host.at('/var'), { recursive: true })
  assert.deepEqual(
    new Set(
      Object.values(states(await install(WANTED, { ...options(host), runtimes: ['containerd', 'crio'] }))),
    ),
    new Set(['current']),
  )
  await rm(host.at('/var'), { recursive: true })
  await uninstall(WANTED, options(host))
  assert.equal(await host.read(`${CERTS}/a/hosts.toml`), '# a')
  assert.equal(await host.read(ALL), undefined)
  assert.equal(await host.read(DROP_IN), undefined)
})

test('settings that others have made for the agent stay theirs', async (t) => {
  const files = {
    [CONFIG]: CONFIG_2,
    [ALL]: `[host."${URL}"]\n  capabilities = ["pull", "resolve"]\n`,
    [DAEMON]: `{ "registry-mirrors": ["${URL}"] }\n`,
  }
  const host = await Host.make(t, files)
  const before = await host.everything()
  const only = { ...options(host), runtimes: ['containerd', 'docker'] as const }
  const reports = await install(WANTED, only)
  assert.ok(reports.every(({ pointsHere }) => pointsHere === true))
  assert.deepEqual(await host.everything(), before)
  assert.deepEqual(states(await uninstall(WANTED, only)), {})
  assert.deepEqual(await host.everything(), before)
})

test('mirrors that others have named themselves count, for all and for some', async (t) => {
  const mirror = (registry: string) =>
    `[[registry]]\nlocation = "${registry}"\n[[registry.mirror]]\nlocation = "127.0.0.1:5050/${registry}"\ninsecure = true\n`
  const all = WELL_KNOWN.map(mirror).join('')
  const host = await Host.make(t, { '/etc/containers/registries.conf': all })
  const before = await host.everything()
  const only = { ...options(host), runtimes: ['crio'] as const }
  const [whole] = await show(WANTED, only)
  assert.deepEqual([whole?.pointsHere, whole?.files, whole?.byOthers], [true, [], WELL_KNOWN])
  await install(WANTED, only)
  assert.deepEqual(await host.everything(), before)
  await host.write('/etc/containers/registries.conf', mirror('ghcr.io'))
  const [some] = await show(WANTED, only)
  assert.deepEqual([some?.pointsHere, some?.byOthers], [false, ['ghcr.io']])
  await host.write('/etc/containers/registries.conf', mirror('ghcr.io').replaceAll(':5050', ':5055'))
  const [none] = await show({ ...WANTED, registries: ['ghcr.io'] }, only)
  assert.deepEqual([none?.pointsHere, none?.byOthers], [false, []])
})

test('links are followed inside the root, and mode and owner stay', async (t) => {
  const host = await Host.make(t, { '/data/containerd/config.toml': CONFIG_2, '/data/daemon.json': '{}' })
  await mkdir(host.at('/etc/docker'), { recursive: true })
  await symlink('/data/containerd', host.at('/etc/containerd'))
  await symlink('../../../../../data/daemon.json', host.at('/etc/docker/daemon.json'))
  await chmod(host.at('/data/daemon.json'), 0o640)
  const before = await host.everything()
  await install(WANTED, options(host))
  assert.deepEqual(hostsIn(await host.read('/data/containerd/certs.d/_default/hosts.toml')), [URL])
  assert.match((await host.read('/data/daemon.json')) ?? '', /5050/)
  assert.equal((await stat(host.at('/data/daemon.json'))).mode & 0o777, 0o640)
  assert.equal((await stat(host.at(LEDGER_PATH))).mode & 0o777, 0o600)
  await uninstall(WANTED, options(host))
  assert.deepEqual(await host.everything(), before)
})

test('a runtime that cannot be helped does not stop the others', async (t) => {
  const host = await Host.make(t, { [CONFIG]: CONFIG_2, [DAEMON]: '{ oops' })
  const [one, two, three] = await install(WANTED, options(host))
  assert.deepEqual([one?.pointsHere, two?.pointsHere, three?.pointsHere], [true, true, false])
  assert.match(three?.failure ?? '', /daemon\.json is not JSON, so Docker cannot read it either/)
  assert.equal(await host.read(DAEMON), '{ oops')
})

test('dockerd with mirrors on its command line would not start with more in the file', async (t) => {
  const unit = '[Service]\n# --registry-mirror=no\nExecStart=/usr/bin/dockerd --registry-mirror https://x\n'
  const host = await Host.make(t, { '/etc/systemd/system/docker.service.d/mirror.conf': unit })
  const [report] = await install(WANTED, { ...options(host), runtimes: ['docker'] })
  assert.match(report?.todo.join() ?? '', /docker\.service\.d\/mirror\.conf\) and would not start/)
  assert.equal(await host.read(DAEMON), undefined)
})

test('only runtimes that are there are told, and none at all is said', async (t) => {
  const host = await Host.make(t, { '/usr/bin/podman': '' })
  const found = { root: host.root, runtimes: undefined, isRehearsal: false }
  assert.deepEqual(
    (await install(WANTED, found)).map(({ runtime }) => runtime),
    ['crio'],
  )
  await uninstall(WANTED, found)
  await rm(host.at('/usr'), { recursive: true })
  await assert.rejects(
    install(WANTED, found),
    (error) => error instanceof RuntimeFailure && /name one with --runtime/.test(error.message),
  )
})

test('a rehearsal and a look write nothing', async (t) => {
  const host = await Host.make(t, { [CONFIG]: 'version = 2\n', [DAEMON]: '{}' })
  const before = await host.everything()
  const planned = await install({ ...WANTED, writeConfig: true }, { ...options(host), isRehearsal: true })
  assert.deepEqual(states(planned), {
    [CONFIG]: 'changed',
    [ALL]: 'created',
    [DROP_IN]: 'created',
    [DAEMON]: 'changed',
  })
  assert.ok((await show(WANTED, options(host))).every(({ pointsHere }) => pointsHere === false))
  assert.deepEqual(await host.everything(), before)
})

test('a record from a later version is not guessed at', async (t) => {
  const host = await Host.make(t, { [LEDGER_PATH]: '{"version": 2, "files": []}', [CONFIG]: CONFIG_2 })
  await assert.rejects(
    install(WANTED, options(host)),
    /installed\.json is not what this version of agent writes/,
  )
})

const texts = fc.oneof(
  fc.constantFrom(
    '',
    '{}',
    '{"registry-mirrors":["https://a"]}',
    '# c',
    'server = "https://x"',
    '[host."https://y"]\n',
    CONFIG_2,
  ),
  fc.string({ unit: 'binary' }),
)
const priors = fc.dictionary(
  fc.constantFrom(
    CONFIG,
    DAEMON,
    ALL,
    DROP_IN,
    `${CERTS}/a/hosts.toml`,
    '/etc/containers/registries.conf',
    '/etc/containers/registries.conf.d/99-x.conf',
  ),
  fc.oneof(texts, fc.uint8Array()),
)

test('whatever was there, install and uninstall together change nothing', async (t) => {
  await fc.assert(
    fc.asyncProperty(priors, fc.boolean(), async (files, writeConfig) => {
      const host = await Host.make(t, files)
      const before = await host.everything()
      await install({ ...WANTED, writeConfig }, options(host))
      await install({ ...WANTED, writeConfig, address: '127.0.0.1:1' }, options(host))
      await install({ ...WANTED, writeConfig, tls: { ca: 'PEM\n' } }, options(host))
      await uninstall(WANTED, options(host))
      assert.deepEqual(await host.everything(), before)
      await rm(host.root, { recursive: true })
    }),
    { numRuns: RUNS, seed: SEED },
  )
})
