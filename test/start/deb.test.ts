import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { appendFile, chmod, cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { fillPackage } from '../../release/deb/contents.ts'
import { buildDeb } from '../../release/deb/deb-package.ts'
import type { Platform } from '../../release/files/libraries.ts'
import { INSTALL_RECORD_PATH } from '../../src/runtimes/files/install-record.ts'
import { withoutSettings } from '../../testkit/agent-process.ts'
import { answers, Daemon, freePort } from '../../testkit/daemon.ts'
import { findProgram, requirePrograms, requireRoot, run, tryRun } from '../../testkit/programs.ts'

const COMPILED = fileURLToPath(new URL('../../src', import.meta.url))
const MAINTAINER = 'The authors of Leat <root@localhost>'

test('the Debian package installs, runs as its unit says, is upgraded, removed and purged', async (t) => {
  if (!requireRoot(t)) return
  const programs = requirePrograms(t, ['dpkg', 'dpkg-deb', 'useradd', 'setpriv', 'npm'])
  if (programs === undefined) return
  const folder = await mkdtemp(join(tmpdir(), 'leat-deb-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  await chmod(folder, 0o755)
  const contents = join(folder, 'contents')
  await t.test('its files are put together', async () =>
    fillPackage(await builtProject(folder), contents, `linux-${process.arch}` as Platform),
  )
  const architecture = process.arch === 'arm64' ? 'arm64' : 'amd64'
  const build = (version: string, compression: 'xz' | 'none'): string =>
    join(folder, buildDeb(contents, folder, { version, architecture, maintainer: MAINTAINER, compression }))
  let old = ''
  let next = ''
  await t.test('dpkg-deb builds it', () => {
    old = build('1.1.0-rc.1', 'xz')
    next = build('1.1.0', 'none')
  })
  const root = await emptyRoot(folder)
  // Scripts run outside of the root, where the machine's programs are, and are told where it is.
  const dpkg = (...args: string[]) =>
    run(programs.dpkg, [...dpkgOptions(root), ...args], {
      env: { DEBIAN_FRONTEND: 'noninteractive', HOME: folder },
      deadlineMs: 300_000,
    })
  // What an image for containers often leaves out; the options of the command come after it.
  await writeFile(join(folder, '.dpkg.cfg'), 'path-exclude=/usr/share/*\n')
  const inRoot = (path: string): string => join(root, path)
  const config = inRoot('etc/leat/config.yaml')

  await dpkg('--install', old)
  const user = /^leat:[^:]+:(\d+):(\d+):.*:\/var\/lib\/leat:\/usr\/sbin\/nologin$/m.exec(
    await readFile(inRoot('etc/passwd'), 'utf8'),
  )
  assert.ok(user, 'there is no user')
  for (const path of [
    'usr/bin/leat',
    'usr/share/man/man1/leat-serve.1.gz',
    'usr/share/bash-completion/completions/leat',
    'usr/share/doc/leat/settings.md',
  ]) {
    assert.ok(existsSync(inRoot(path)), path)
  }
  assert.match((await run(inRoot('usr/bin/leat'), ['--version'])).stdout, /^\d+\.\d+\.\d+\n$/)
  await run(inRoot('usr/bin/leat'), ['config', 'check', config], { env: withoutSettings() })

  await t.test('the user of the package serves with what the unit says', () =>
    assertServes(t, root, config, { setpriv: programs.setpriv, uid: user[1] ?? '', gid: user[2] ?? '' }),
  )
  await t.test('systemd accepts the unit, and finds it well confined', (unit) => assertConfined(unit, root))

  await appendFile(config, '\nlogLevel: debug\n')
  await dpkg('--install', next)
  assert.match(await readFile(config, 'utf8'), /logLevel: debug/, 'an upgrade keeps the settings')
  const { stdout: status } = await dpkg('--status', 'leat')
  assert.match(status, /^Version: 1\.1\.0$/m)
  assert.match(status, /^Status: install ok installed$/m)

  await mkdir(inRoot('var/lib/leat/data'), { recursive: true })
  const record = inRoot(INSTALL_RECORD_PATH)
  await mkdir(dirname(record), { recursive: true })
  await writeFile(record, '{}')
  const removed = await dpkg('--remove', 'leat')
  assert.match(removed.stderr, /^leat: .* still point at the agent; .*: leat runtime uninstall$/m)
  assert.ok(!existsSync(inRoot('usr/lib/leat')), 'the program is gone')
  assert.ok(existsSync(config) && existsSync(inRoot('var/lib/leat/data')), 'settings and content stay')
  await dpkg('--purge', 'leat')
  assert.ok(!existsSync(config) && !existsSync(inRoot('var/lib/leat/data')), 'a purge removes the content')
  assert.ok(existsSync(record), 'what restores the runtimes stays')
  await rm(record)
  await dpkg('--install', next)
  const last = await dpkg('--purge', 'leat')
  assert.doesNotMatch(last.stderr, /still point at/)
  assert.ok(!existsSync(inRoot('var/lib/leat')), 'nothing stays after a purge')
  assert.ok(existsSync(inRoot('var/log/dpkg.log')), 'the log of the machine is not written')
})

/** What the package is made of, with the program as it was compiled for the tests: other tests replace `dist`. */
async function builtProject(folder: string): Promise<string> {
  const project = join(folder, 'project')
  for (const name of [
    'package.json',
    'package-lock.json',
    'deploy/systemd',
    'docs/reference',
    'README.md',
    'LICENSE',
    'CHANGELOG.md',
  ]) {
    await cp(name, join(project, name), { recursive: true })
  }
  await cp(COMPILED, join(project, 'dist'), { recursive: true })
  await cp('src/page', join(project, 'dist/page'), { recursive: true })
  return project
}

/** The machine's settings of dpkg are read before the options: where it logs, and which paths it does not unpack. */
function dpkgOptions(root: string): string[] {
  return [
    ...[`--root=${root}`, `--log=${join(root, 'var/log/dpkg.log')}`, '--path-include=/usr/share/*'],
    ...['--force-depends', '--force-script-chrootless'],
  ]
}

/** A root in which dpkg knows no package. */
async function emptyRoot(folder: string): Promise<string> {
  const root = join(folder, 'root')
  for (const path of ['etc', 'var/lib/dpkg/info', 'var/lib/dpkg/updates', 'var/log', 'tmp'])
    await mkdir(join(root, path), { recursive: true })
  for (const path of ['var/lib/dpkg/status', 'var/lib/dpkg/available', 'etc/passwd', 'etc/group'])
    await writeFile(join(root, path), '')
  return root
}

async function assertServes(
  t: TestContext,
  root: string,
  config: string,
  { setpriv, uid, gid }: { setpriv: string; uid: string; gid: string },
): Promise<void> {
  const unit = await unitOf(root)
  const value = (key: string): string => new RegExp(`^${key}=(.*)$`, 'm').exec(unit)?.[1] ?? assert.fail(key)
  assert.deepEqual([value('User'), value('Group')], ['leat', 'leat'])
  const [node, main = '', ...args] = value('ExecStart').split(' ')
  assert.equal(node, '/usr/bin/node')
  // What systemd makes before it starts the service.
  const data = join(root, 'var/lib', value('StateDirectory'))
  await mkdir(data, { recursive: true })
  await run('chown', [`${uid}:${gid}`, data])
  const [registry, admin] = [await freePort(), await freePort()]
  const agent = new Daemon(
    'the agent',
    setpriv,
    [`--reuid=${uid}`, `--regid=${gid}`, '--clear-groups', process.execPath, join(root, main), ...args],
    {
      env: {
        ...withoutSettings(),
        LEAT_CONFIG: config,
        LEAT_DATA: data,
        LEAT_LISTEN: `127.0.0.1:${registry}`,
        LEAT_ADMIN: `127.0.0.1:${admin}`,
      },
      cwd: root,
    },
  )
  t.after(() => agent.stop())
  await agent.ready(() => answers(`http://127.0.0.1:${registry}/v2/`))
  assert.ok(await answers(`http://127.0.0.1:${admin}/`))
  assert.equal(await agent.stop(), 0)
}

async function assertConfined(t: TestContext, root: string): Promise<void> {
  const unit = join(root, 'usr/lib/systemd/system/leat.service')
  if (findProgram('systemd-analyze') === undefined)
    return t.skip('missing: systemd-analyze (Debian package systemd)')
  const verified = await tryRun('systemd-analyze', ['verify', '--man=no', unit])
  const warnings = (verified.stdout + verified.stderr)
    .split('\n')
    .filter((line) => /leat(?:-hangs)?\./.test(line))
  // Node may be elsewhere than /usr/bin on this machine, and the program is in the root.
  assert.deepEqual(
    warnings.filter((line) => !/is not executable/.test(line)),
    [],
  )
  const security = await tryRun('systemd-analyze', ['security', '--offline=yes', '--threshold=20', unit])
  if (/unrecognized option/.test(security.stderr))
    return t.skip('missing: systemd-analyze of systemd 250 or later')
  const last = security.stdout.trim().split('\n').at(-1) ?? ''
  t.diagnostic(last)
  assert.equal(security.code, 0, last)
}

async function unitOf(root: string): Promise<string> {
  return (await readFile(join(root, 'usr/lib/systemd/system/leat.service'), 'utf8')).replaceAll('\\\n', ' ')
}
