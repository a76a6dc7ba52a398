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
  PODMAN_FLAGS,
  runWithRegistries,
  setUpPodman,
  startDocker,
} from './host-runtimes.ts'
import {
  assertPulledThroughAgent,
  type InstallLab,
  REF,
  runRuntimeCommand,
  startInstallLab,
} from './install-lab.ts'

/** Other programs change the files between an install and an uninstall, while runtimes pull. */

const FOREIGN_LINE = '# a line of another program\n'

/** Returns a function that copies the image of the lab into a new folder and compares it with the given one. */
function copyWithSkopeo(lab: InstallLab, host: Host): (image: Image) => Promise<void> {
  let copies = 0
  return async (image) => {
    const to = join(lab.folder, `copy-${copies++}`)
    const command = [lab.programs['skopeo'] ?? '', 'copy', '--quiet', `docker://${REF}`, `dir:${to}`]
    await runWithRegistries(host, lab, command)
    await assertCopied(image, to)
  }
}

test('skopeo and podman pull through the agent after an install, and an uninstall keeps later changes by others', async (t) => {
  const lab = await startInstallLab(t, ['skopeo', 'podman'])
  if (lab === undefined) return
  const { agent, image } = lab
  const { host, before, podman } = await setUpPodman(t, lab, {
    '/etc/containers/registries.conf': `unqualified-search-registries = ["${CORP.registry}"]\n`,
    [CORP.path]: CORP.text,
  })
  const copy = copyWithSkopeo(lab, host)
  await runRuntimeCommand('install', host, agent.address, ...PODMAN_FLAGS, '--only', CORP.registry)
  await assertPulledThroughAgent(lab, () => copy(image))
  await podman('pull', '--quiet', REF)

  const written = Object.keys(await host.snapshot()).filter(
    (path) => path.startsWith('etc/containers/registries.conf.d/') && !(path in before),
  )
  assert.ok(written.length > 0, 'install has written no files')
  for (const path of [...written, CORP.path]) await appendFile(host.at(path), FOREIGN_LINE)
  await host.write('/etc/containers/registries.conf.d/95-more.conf', FOREIGN_LINE)
  await podman('rmi', '--all', '--force')
  await podman('pull', '--quiet', CORP.ref)

  const output = await runRuntimeCommand('uninstall', host, agent.address)
  assert.match(output, /modified since the installation: removed only what install had added/)
  for (const path of written) assert.equal(await host.read(path), FOREIGN_LINE, path)
  assert.equal(await host.read(CORP.path), `${CORP.text}${FOREIGN_LINE}`)
  await assert.rejects(copy(image), 'the registry itself cannot be reached')
  for (const path of [...written, 'etc/containers/registries.conf.d/95-more.conf']) await rm(host.at(path))
  await host.write(CORP.path, CORP.text)
  assert.deepEqual(await host.snapshot(), before, 'another file was changed')
})

test('Docker pulls through the agent after an install, and an uninstall keeps later changes by others', async (t) => {
  const lab = await startInstallLab(t, ['dockerd', 'docker', 'containerd'])
  if (lab === undefined) return
  const { agent } = lab
  const { path, text } = DAEMON_JSON
  const host = await Host.make(t, { [path]: text })
  await runRuntimeCommand('install', host, agent.address)
  const { docker } = await startDocker(t, lab, host)
  await assertPulledThroughAgent(lab, () => docker('pull', '--quiet', DOCKER_REF))

  const change = (settings: string): string =>
    settings.replace('"debug": false', '"log-level": "warn", "debug": true')
  await host.write(path, change((await host.read(path)) ?? ''))
  await runRuntimeCommand('uninstall', host, agent.address)
  assert.equal(await host.read(path), change(text))
})
