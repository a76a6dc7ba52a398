import assert from 'node:assert/strict'
import { test } from 'node:test'
import { WELL_KNOWN } from '../../../src/runtimes/kinds/registries-conf.ts'
import { install, show, uninstall } from '../../../src/runtimes/operations.ts'
import { Host } from '../host.ts'
import { DROP_IN, MIRROR, optionsFor, statesOf } from '../install-fixture.ts'

test('the drop-in for podman and CRI-O is read after those whose entries it replaces, and is renamed if necessary', async (t) => {
  const folder = '/etc/containers/registries.conf.d'
  const othersFile = '[[registry]]\nlocation = "docker.io"\nmirror-by-digest-only = true\n'
  const host = await Host.make(t, {
    [`${folder}/10-a.conf`]: othersFile,
    [`${folder}/99-b.conf`]: '# nothing\n',
    '/etc/crio/x': '',
  })
  const before = await host.snapshot()
  const only = { ...optionsFor(host), runtimes: ['crio'] as const }
  const [report] = await install(MIRROR, only)
  assert.deepEqual(statesOf(report === undefined ? [] : [report]), { [DROP_IN]: 'created' })
  assert.match(report?.followUp ?? '', /systemctl reload crio/)
  await host.write(`${folder}/99-b.conf`, othersFile)
  assert.deepEqual(statesOf(await install(MIRROR, only)), {
    [DROP_IN]: 'removed',
    [`${folder}/99-b.leat.conf`]: 'created',
  })
  assert.equal((await show(MIRROR, only))[0]?.pointsHere, true)
  await uninstall(MIRROR, only)
  await host.write(`${folder}/99-b.conf`, '# nothing\n')
  assert.deepEqual(await host.snapshot(), before)
})

test('podman and CRI-O cannot use plain HTTP for another machine, and the report says so', async (t) => {
  const host = await Host.make(t)
  const far = { ...MIRROR, address: '10.0.0.7:5050', isLoopback: false }
  const [report] = await install(far, { ...optionsFor(host), runtimes: ['crio'] })
  assert.match(report?.todo.join() ?? '', /only TLS for 10\.0\.0\.7:5050.*--tls-cert/)
  assert.ok(!(await host.read(DROP_IN))?.includes('insecure'))
})

test('mirrors that others have added are reported, for all registries or for some', async (t) => {
  const mirror = (registry: string) =>
    `[[registry]]\nlocation = "${registry}"\n[[registry.mirror]]\nlocation = "127.0.0.1:5050/${registry}"\ninsecure = true\n`
  const all = WELL_KNOWN.map(mirror).join('')
  const host = await Host.make(t, { '/etc/containers/registries.conf': all })
  const before = await host.snapshot()
  const only = { ...optionsFor(host), runtimes: ['crio'] as const }
  const [whole] = await show(MIRROR, only)
  assert.deepEqual([whole?.pointsHere, whole?.files, whole?.byOthers], [true, [], WELL_KNOWN])
  await install(MIRROR, only)
  assert.deepEqual(await host.snapshot(), before)
  await host.write('/etc/containers/registries.conf', mirror('ghcr.io'))
  const [some] = await show(MIRROR, only)
  assert.deepEqual([some?.pointsHere, some?.byOthers], [false, ['ghcr.io']])
  await host.write('/etc/containers/registries.conf', mirror('ghcr.io').replaceAll(':5050', ':5055'))
  const [none] = await show({ ...MIRROR, only: ['ghcr.io'] }, only)
  assert.deepEqual([none?.pointsHere, none?.byOthers], [false, []])
})
