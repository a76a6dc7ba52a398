import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { SETTINGS } from '../../src/config/schema.ts'
import { runInProcess } from '../cli/run-in-process.ts'
import { Host } from '../runtimes/host.ts'
import { DEPLOY, manifest, named, resourcesIn, workloadsOf } from './support/manifests.ts'
import { assertSound, settingsOf } from './support/soundness.ts'

const CONTAINERD =
  'version = 2\n[plugins."io.containerd.grpc.v1.cri".registry]\n  config_path = "/etc/containerd/certs.d"\n'

test('the manifests are sound', async () => {
  await assertSound(await manifest('10-leat.yaml'))
  await assertSound(await manifest('uninstall/restore.yaml'))
  const [namespace, ...rest] = await manifest('00-namespace.yaml')
  assert.equal(namespace?.kind, 'Namespace')
  assert.deepEqual(rest, [])
  for (const { kind, metadata } of await manifest('10-leat.yaml'))
    if (kind !== 'PriorityClass') assert.equal(metadata.namespace, namespace.metadata.name)
})

test('ports, probes and settings of the agent agree', async () => {
  const workloads = workloadsOf(await manifest('10-leat.yaml'))
  const agent = named(named(workloads, 'leat').template.spec.containers, 'agent')
  const dht = named(named(workloads, 'leat-dht').template.spec.containers, 'dht')
  const settings = await settingsOf(agent)
  assert.deepEqual(settings.listen, SETTINGS.listen.defaultValue, 'on the loopback of the node')
  assert.deepEqual(settings.admin, SETTINGS.admin.defaultValue)
  assert.equal(settings.data, '/var/lib/leat')
  assert.ok(agent.volumeMounts.some(({ mountPath }) => mountPath === settings.data))
  const ports = Object.fromEntries(
    agent.ports.map(({ name, containerPort, protocol }) => [name, [containerPort, protocol]]),
  )
  assert.deepEqual(ports, {
    registry: [SETTINGS.listen.defaultValue.port, 'TCP'],
    admin: [SETTINGS.admin.defaultValue.port, 'TCP'],
    peers: [SETTINGS.peerListen.defaultValue.port, 'TCP'],
    dht: [SETTINGS.dht.defaultValue.port, 'UDP'],
  })
  assert.equal(settings.peerListen.port, ports['peers']?.[0])
  assert.equal(settings.dht.port, ports['dht']?.[0])
  for (const probe of [agent.startupProbe, agent.livenessProbe, agent.readinessProbe]) {
    assert.equal(probe?.httpGet.host, settings.admin.host)
    assert.equal(probe.httpGet.port, 'admin')
    assert.match(probe.httpGet.path, /^\/(?:healthz|readyz)$/)
  }
  const own = dht.ports[0]?.containerPort
  assert.notEqual(own, settings.dht.port, 'both are on the network of the node')
  assert.ok(settings.bootstrap.length > 0)
  for (const { host, port } of settings.bootstrap) {
    assert.match(host, /^leat-dht-\d\.leat-dht\.leat\.svc\.cluster\.local$/)
    assert.equal(port, own)
  }
})

test('a pod that ends has more time than its transfers', async () => {
  const { template } = named(workloadsOf(await manifest('10-leat.yaml')), 'leat')
  const { drainTimeout } = await settingsOf(named(template.spec.containers, 'agent'))
  assert.ok((template.spec.terminationGracePeriodSeconds ?? 0) * 1000 >= drainTimeout + 5000)
})

test('the secret of the swarm is mounted at the configured path, and not readable by others', async () => {
  const { template } = named(workloadsOf(await manifest('10-leat.yaml')), 'leat')
  const agent = named(template.spec.containers, 'agent')
  const { peersSecretFile } = await settingsOf(agent)
  const mount = named(agent.volumeMounts, 'swarm')
  assert.equal(peersSecretFile, `${mount.mountPath}/secret`)
  assert.deepEqual(named(template.spec.volumes, 'swarm')['secret'], {
    secretName: 'leat-swarm',
    defaultMode: 0o440,
    items: [{ key: 'secret', path: 'secret' }],
  })
})

test('the mounts of the node are sufficient for an install, and for the restoration after an uninstall', async (t) => {
  const host = await Host.make(t, {
    '/etc/containerd/config.toml': CONTAINERD,
    '/var/lib/leat/runtime/.keep': '',
  })
  const before = await host.snapshot()
  const install = initOf('leat', 'runtime-install', await manifest('10-leat.yaml'))
  const restore = initOf('leat-restore', 'runtime-uninstall', await manifest('uninstall/restore.yaml'))
  const mounts = ['/host/etc/containerd', '/host/var/lib/leat/runtime']
  for (const { volumeMounts } of [install, restore])
    assert.deepEqual(
      volumeMounts.map(({ mountPath }) => mountPath),
      mounts,
    )
  const onHost = (args: readonly string[]) =>
    args.map((arg) => arg.replace(/^--root=\/host$/, `--root=${host.root}`))
  for (const time of ['first', 'second']) {
    const { code, out, err } = await runInProcess(onHost(install.args))
    assert.equal(code, 0, `${time}: ${out}${err}`)
    assert.match(out, /containerd: asks 127\.0\.0\.1:5050 first/)
  }
  const written = Object.keys(await host.snapshot()).filter((path) => before[path] === undefined)
  for (const path of written)
    assert.match(`/host/${path}`, /^\/host\/(?:etc\/containerd|var\/lib\/leat\/runtime)\//)
  const { code, out, err } = await runInProcess(onHost(restore.args))
  assert.equal(code, 0, out + err)
  assert.deepEqual(await host.snapshot(), before)
})

function initOf(workload: string, container: string, resources: Parameters<typeof workloadsOf>[0]) {
  return named(named(workloadsOf(resources), workload).template.spec.initContainers, container)
}

test('a mistake in a manifest is found', async () => {
  const text = await readFile(join(DEPLOY, 'manifests/10-leat.yaml'), 'utf8')
  const mistakes: readonly (readonly [string, string])[] = [
    ['--drain-timeout=25s', '--drain-timeot=25s'],
    ['--max-bytes=50%', '--max-bytes=50x'],
    ['LEAT_LISTEN', 'LEAT_LISTN'],
    ['- name: data\n              mountPath', '- name: date\n              mountPath'],
    ['readOnlyRootFilesystem: true', 'readOnlyRootFilesystem: false'],
    ['serviceAccountName: leat', 'serviceAccountName: late'],
    ['priorityClassName: leat-node', 'priorityClassName: leat'],
    ['drop: [ALL]', 'drop: []'],
    ['runAsNonRoot: true', 'runAsNonRoot: false'],
    ['serviceName: leat-dht', 'serviceName: leat-dth'],
    ['mountPath: /host/etc/containerd', 'mountPath: /host/etc'],
    ['automountServiceAccountToken: false\n      enable', 'automountServiceAccountToken: true\n      enable'],
  ]
  for (const [right, wrong] of mistakes) {
    const broken = text.replace(right, wrong)
    assert.notEqual(broken, text, right)
    await assert.rejects(
      async () => assertSound(resourcesIn(broken)),
      (error) => !(error instanceof TypeError),
      wrong,
    )
  }
})
