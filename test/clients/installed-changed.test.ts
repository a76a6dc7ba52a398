import assert from 'node:assert/strict'
import { appendFile, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { Host } from '../runtimes/host.ts'
import { Daemon } from '../support/daemon.ts'
import { digestOf, type Image } from '../support/image.ts'
import { run, tryRun } from '../support/programs.ts'
import { assertBlobsIn } from './client.ts'
import {
  assertPulledThroughAgent,
  type Lab,
  onHost,
  POLICY,
  podman,
  REGISTRY,
  runtime,
  startLab,
} from './installed-lab.ts'

/** Files that others write to between an install and an uninstall, under runtimes that pull meanwhile. */

const REF = `${REGISTRY}/library/app:v1`
const THEIR_HAND = '# by other hands\n'

/** Copies an image into a new folder, and says which. */
function skopeo({ programs, folder }: Lab, host: Host): (image: Image) => Promise<void> {
  let copies = 0
  return async (image) => {
    const to = join(folder, `copy-${copies++}`)
    const command = [programs['skopeo'] ?? '', 'copy', '--quiet', `docker://${REF}`, `dir:${to}`]
    await run(programs['unshare'] ?? '', onHost(host, ['/etc/containers'], command), {
      env: { CONTAINERS_REGISTRIES_CONF: undefined },
    })
    assert.equal(digestOf(await readFile(join(to, 'manifest.json'))), image.manifest.digest)
    await assertBlobsIn(to, image)
  }
}

test('skopeo and podman pull through the agent after an install, and an uninstall leaves what others have written since', async (t) => {
  const lab = await startLab(t, ['skopeo', 'podman'])
  if (lab === undefined) return
  const { agent, image } = lab
  const corp = '/etc/containers/registries.conf.d/90-corp.conf'
  const theirs = `[[registry]]\nprefix = "hub.corp/team"\nlocation = "${REGISTRY}/library"\n`
  const host = await Host.make(t, {
    '/etc/containers/policy.json': POLICY,
    '/etc/containers/registries.conf': 'unqualified-search-registries = ["hub.corp"]\n',
    [corp]: theirs,
  })
  const [copy, pull] = [skopeo(lab, host), podman(lab, host)]
  // It makes files of its own beside its settings.
  await pull('images')
  const before = await host.everything()
  const install = ['--runtime', 'crio', '--registry', REGISTRY, '--registry', 'hub.corp'] as const
  await runtime('install', host, agent.address, ...install)
  await assertPulledThroughAgent(lab, () => copy(image))
  await pull('pull', '--quiet', REF)

  const written = Object.keys(await host.everything()).filter(
    (path) => path.startsWith('etc/containers/registries.conf.d/') && !(path in before),
  )
  assert.ok(written.length > 0, 'install has written files of its own')
  for (const path of [...written, corp]) await appendFile(host.at(path), THEIR_HAND)
  await host.write('/etc/containers/registries.conf.d/95-more.conf', THEIR_HAND)
  await pull('rmi', '--all', '--force')
  await pull('pull', '--quiet', 'hub.corp/team/app:v1')

  const said = await runtime('uninstall', host, agent.address)
  assert.match(said, /changed by others since: took out only what install had put in/)
  for (const path of written) assert.equal(await host.read(path), THEIR_HAND, path)
  assert.equal(await host.read(corp), `${theirs}${THEIR_HAND}`)
  await assert.rejects(copy(image), 'the registry itself cannot be reached')
  for (const path of [...written, 'etc/containers/registries.conf.d/95-more.conf']) await rm(host.at(path))
  await host.write(corp, theirs)
  assert.deepEqual(await host.everything(), before, 'all else is as it was')
})

test('Docker pulls through the agent after an install, and an uninstall leaves what others have written since', async (t) => {
  const lab = await startLab(t, ['dockerd', 'docker', 'containerd'])
  if (lab === undefined) return
  const { agent, folder, programs } = lab
  const file = '/etc/docker/daemon.json'
  const theirs = '{\n\t"debug": false,\n\t"registry-mirrors": [ "http://127.0.0.1:1" ]\n}'
  const host = await Host.make(t, { [file]: theirs })
  await runtime('install', host, agent.address)
  const socket = `unix://${join(folder, 'docker.sock')}`
  const command = [
    programs['dockerd'] ?? '',
    ...['--host', socket, '--pidfile', join(folder, 'docker.pid')],
    ...['--data-root', join(folder, 'root'), '--exec-root', join(folder, 'exec')],
    ...['--iptables=false', '--ip6tables=false', '--bridge=none', '--storage-driver', 'vfs'],
  ]
  const daemon = new Daemon('dockerd', programs['unshare'] ?? '', onHost(host, ['/etc/docker'], command))
  lab.later(() => daemon.stop())
  const docker = (...args: readonly string[]) => tryRun(programs['docker'] ?? '', ['--host', socket, ...args])
  await daemon.ready(async () => (await docker('version')).code === 0)
  await assertPulledThroughAgent(lab, async () => {
    const { code, stderr } = await docker('pull', '--quiet', 'docker.io/library/app:v1')
    assert.equal(code, 0, stderr)
  })

  const change = (text: string): string =>
    text.replace('"debug": false', '"log-level": "warn", "debug": true')
  await host.write(file, change((await host.read(file)) ?? ''))
  await runtime('uninstall', host, agent.address)
  assert.equal(await host.read(file), change(theirs))
})
