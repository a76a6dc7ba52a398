import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { addCleanup } from '../../../testkit/cleanup.ts'
import { findProgram, requirePrograms, requireRoot, run } from '../../../testkit/programs.ts'
import { buildImage } from '../../../testkit/registries/image.ts'
import { startContainerd } from '../kinds/containerd.ts'
import { POLICY, podmanOptions } from '../kinds/podman.ts'
import { assertCopied } from '../kinds/skopeo.ts'
import { DockerDaemon } from '../sources/docker-daemon.ts'
import { PASSWORD, startLoginLab, WAYS } from './login-lab.ts'

const image = buildImage('with-login', { layerSizes: [300_000, 100] })

/** What clients say of 401 and 403. */
const REFUSED =
  /401|403|[Uu]nauthorized|denied|authorization failed|authentication required|no basic auth|invalid username|log in/

for (const way of WAYS) {
  test(`skopeo pushes and pulls with a login by ${way}, and without the right nothing`, async (t) => {
    const programs = requirePrograms(t, ['skopeo'])
    if (programs === undefined) return
    const lab = await startLoginLab(t, image, way)
    const name = `docker://${lab.registry}/team/app:v1`
    const copy = (...args: string[]) =>
      run(programs.skopeo, ['--insecure-policy', 'copy', '--quiet', ...args])
    const push = (creds: readonly string[], to = name) =>
      copy('--dest-tls-verify=false', ...creds, `oci:${lab.layout}:app:v1`, to)
    await push(['--dest-creds', `alice:${PASSWORD}`])
    const pulled = join(lab.folder, 'pulled')
    await copy('--src-tls-verify=false', '--src-creds', `alice:${PASSWORD}`, name, `dir:${pulled}`)
    await assertCopied(image, pulled)
    for (const creds of [[], ['--dest-creds', 'alice:wrong'], ['--dest-creds', `bob:${PASSWORD}`]])
      await assert.rejects(push(creds), REFUSED, creds.join(' '))
    const other = `docker://${lab.registry}/team/other:v1`
    await assert.rejects(push(['--dest-creds', `alice:${PASSWORD}`], other), REFUSED)
    await assert.rejects(copy('--src-tls-verify=false', name, `dir:${pulled}-2`), REFUSED)
  })

  test(`podman logs in by ${way}, pulls, and pushes`, async (t) => {
    const programs = requirePrograms(t, ['podman', 'skopeo'])
    if (programs === undefined || !requireRoot(t)) return
    const lab = await startLoginLab(t, image, way)
    const folder = join(lab.folder, 'podman')
    await mkdir(folder)
    const policy = join(folder, 'policy.json')
    await writeFile(policy, POLICY)
    const name = `${lab.registry}/team/app:v1`
    await run(programs.skopeo, [
      ...['--insecure-policy', 'copy', '--quiet', '--dest-tls-verify=false'],
      ...['--dest-creds', `alice:${PASSWORD}`, `oci:${lab.layout}:app:v1`, `docker://${name}`],
    ])
    const podman = (...args: string[]) => run(programs.podman, [...podmanOptions(folder), ...args])
    const file = ['--authfile', join(folder, 'auth.json')]
    await writeFile(join(folder, 'auth.json'), '{}')
    const login = (user: string, password: string) =>
      podman('login', ...file, '--tls-verify=false', '--username', user, '--password', password, lab.registry)
    await assert.rejects(login('alice', 'wrong'), REFUSED)
    const pull = () =>
      podman('pull', '--quiet', ...file, '--tls-verify=false', '--signature-policy', policy, name)
    await assert.rejects(pull(), REFUSED)
    await login('alice', PASSWORD)
    await pull()
    await podman('push', '--quiet', ...file, '--tls-verify=false', '--signature-policy', policy, name)
    await login('bob', PASSWORD)
    await assert.rejects(pull(), REFUSED)
  })

  test(`Docker logs in by ${way}, pushes, and pulls`, async (t) => {
    const programs = requirePrograms(t, ['dockerd', 'docker', 'containerd', 'skopeo'])
    if (programs === undefined || !requireRoot(t)) return
    const lab = await startLoginLab(t, image, way)
    const daemon = await DockerDaemon.start(t, programs, join(lab.folder, 'docker'))
    const docker = (...args: string[]) => daemon.docker('--config', join(lab.folder, 'client'), ...args)
    const login = (user: string, password: string) =>
      docker('login', '--username', user, '--password', password, lab.registry)
    const name = `${lab.registry}/team/app:v1`
    await daemon.load(name, image)
    await assert.rejects(docker('push', name), REFUSED)
    await assert.rejects(login('alice', 'wrong'), REFUSED)
    await login('alice', PASSWORD)
    assert.match(await docker('push', name), /: Pushed/)
    await docker('rmi', '--force', name)
    await docker('pull', '--quiet', name)
    const other = `${lab.registry}/team/other:v1`
    await docker('tag', name, other)
    await assert.rejects(docker('push', other), REFUSED)
  })

  test(`containerd pushes and pulls with a login by ${way}`, async (t) => {
    const programs = requirePrograms(t, ['containerd', 'ctr', 'skopeo'])
    if (programs === undefined || !requireRoot(t)) return
    const lab = await startLoginLab(t, image, way)
    const folder = join(lab.folder, 'containerd')
    await mkdir(folder)
    const { daemon, common } = await startContainerd(programs, folder)
    addCleanup(t, () => daemon.stop())
    const images = (...args: string[]) => run(programs.ctr, [...common, 'images', ...args])
    const archive = join(lab.folder, 'oci.tar')
    const name = `${lab.registry}/team/app:v1`
    await run(programs.skopeo, [
      ...[
        '--insecure-policy',
        'copy',
        '--quiet',
        `oci:${lab.layout}:app:v1`,
        `oci-archive:${archive}:${name}`,
      ],
    ])
    await images('import', '--no-unpack', '--all-platforms', archive)
    await assert.rejects(images('push', '--plain-http', name), REFUSED)
    await images('push', '--plain-http', '--user', `alice:${PASSWORD}`, name)
    await images('rm', '--sync', name)
    await assert.rejects(images('pull', '--plain-http', '--user', `bob:${PASSWORD}`, name), REFUSED)
    await images('pull', '--plain-http', '--snapshotter', 'native', '--user', `alice:${PASSWORD}`, name)
    if (way !== 'htpasswd') return
    // A header in hosts.toml is the login of a mirror.
    await mkdir(join(folder, 'hosts', lab.registry), { recursive: true })
    const header = `Basic ${Buffer.from(`alice:${PASSWORD}`).toString('base64')}`
    await writeFile(
      join(folder, 'hosts', lab.registry, 'hosts.toml'),
      `[host."http://${lab.registry}"]\n  [host."http://${lab.registry}".header]\n    authorization = "${header}"\n`,
    )
    await images('rm', '--sync', name)
    await images('pull', '--snapshotter', 'native', '--hosts-dir', join(folder, 'hosts'), name)
  })
}

// crane gets no token from a service at a private address.
test('crane logs in, pulls and pushes', async (t) => {
  const crane = findProgram('crane', [join(homedir(), 'go/bin')])
  const programs = requirePrograms(t, ['skopeo'])
  if (programs === undefined) return
  if (crane === undefined)
    return t.skip('missing: crane (go install github.com/google/go-containerregistry/cmd/crane@latest)')
  const lab = await startLoginLab(t, image, 'htpasswd')
  const env = { DOCKER_CONFIG: join(lab.folder, 'client') }
  const call = (...args: string[]) => run(crane, args, { env })
  const name = `${lab.registry}/team/app:v1`
  await assert.rejects(call('push', '--insecure', lab.layout, name), REFUSED)
  await call('auth', 'login', '--username', 'alice', '--password', PASSWORD, lab.registry)
  await call('push', '--insecure', lab.layout, name)
  assert.equal((await call('digest', '--insecure', name)).stdout.trim(), image.manifest.digest)
})
