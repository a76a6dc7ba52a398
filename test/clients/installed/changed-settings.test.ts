import assert from 'node:assert/strict'
import { appendFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Image } from '../../../testkit/registries/image.ts'
import { Host } from '../../runtimes/host.ts'
import { assertCopied } from '../kinds/skopeo.ts'
import {
  CORP,
  DAEMON_JSON,
  DOCKER_REF,
  FOR_PODMAN,
  setUpPodman,
  startDocker,
  withRegistriesOf,
} from './host-runtimes.ts'
import { assertPulledThroughAgent, type Lab, REF, runtime, startLab } from './install-lab.ts'

/** Files that others write to between an install and an uninstall, under runtimes that pull meanwhile. */

const THEIR_HAND = '# by other hands\n'

/** Copies the lab's image into a new folder, where it must then be this one. */
function skopeo(lab: Lab, host: Host): (image: Image) => Promise<void> {
  let copies = 0
  return async (image) => {
    const to = join(lab.folder, `copy-${copies++}`)
    const command = [lab.programs['skopeo'] ?? '', 'copy', '--quiet', `docker://${REF}`, `dir:${to}`]
    await withRegistriesOf(host, lab, command)
    await assertCopied(image, to)
  }
}

test('skopeo and podman pull through the agent after an install, and an uninstall leaves what others have written since', async (t) => {
  const lab = await startLab(t, ['skopeo', 'podman'])
  if (lab === undefined) return
  const { agent, image } = lab
  const { host, before, podman } = await setUpPodman(t, lab, {
    '/etc/containers/registries.conf': `unqualified-search-registries = ["${CORP.registry}"]\n`,
    [CORP.path]: CORP.text,
  })
  const copy = skopeo(lab, host)
  await runtime('install', host, agent.address, ...FOR_PODMAN, '--registry', CORP.registry)
  await assertPulledThroughAgent(lab, () => copy(image))
  await podman('pull', '--quiet', REF)

  const written = Object.keys(await host.snapshot()).filter(
    (path) => path.startsWith('etc/containers/registries.conf.d/') && !(path in before),
  )
  assert.ok(written.length > 0, 'install has written files of its own')
  for (const path of [...written, CORP.path]) await appendFile(host.at(path), THEIR_HAND)
  await host.write('/etc/containers/registries.conf.d/95-more.conf', THEIR_HAND)
  await podman('rmi', '--all', '--force')
  await podman('pull', '--quiet', CORP.ref)

  const said = await runtime('uninstall', host, agent.address)
  assert.match(said, /modified since the installation: removed only what install had added/)
  for (const path of written) assert.equal(await host.read(path), THEIR_HAND, path)
  assert.equal(await host.read(CORP.path), `${CORP.text}${THEIR_HAND}`)
  await assert.rejects(copy(image), 'the registry itself cannot be reached')
  for (const path of [...written, 'etc/containers/registries.conf.d/95-more.conf']) await rm(host.at(path))
  await host.write(CORP.path, CORP.text)
  assert.deepEqual(await host.snapshot(), before, 'all else is as it was')
})

test('Docker pulls through the agent after an install, and an uninstall leaves what others have written since', async (t) => {
  const lab = await startLab(t, ['dockerd', 'docker', 'containerd'])
  if (lab === undefined) return
  const { agent } = lab
  const { path, text } = DAEMON_JSON
  const host = await Host.make(t, { [path]: text })
  await runtime('install', host, agent.address)
  const { docker } = await startDocker(t, lab, host)
  await assertPulledThroughAgent(lab, () => docker('pull', '--quiet', DOCKER_REF))

  const change = (settings: string): string =>
    settings.replace('"debug": false', '"log-level": "warn", "debug": true')
  await host.write(path, change((await host.read(path)) ?? ''))
  await runtime('uninstall', host, agent.address)
  assert.equal(await host.read(path), change(text))
})
