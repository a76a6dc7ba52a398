import assert from 'node:assert/strict'
import { appendFile, readFile, rm } from 'node:fs/promises'
import { type TestContext, test } from 'node:test'
import { run } from '../../../testkit/programs.ts'
import { pullByCri, removeByCri } from '../../runtimes/cri-client.ts'
import { Host } from '../../runtimes/host.ts'
import {
  CORP,
  DAEMON_JSON,
  DOCKER_REF,
  enableHostsFiles,
  PODMAN_FLAGS,
  setUpPodman,
  startContainerd,
  startDocker,
} from './host-runtimes.ts'
import {
  assertPulledThroughAgent,
  type InstallLab,
  REF,
  REGISTRY,
  runRuntimeCommand,
  startInstallLab,
} from './install-lab.ts'

test('containerd pulls through the agent after an install, over CRI and with ctr, and no longer after an uninstall', async (t) => {
  const lab = await startInstallLab(t, ['containerd', 'ctr'])
  if (lab === undefined) return
  const { agent, programs } = lab
  const { host, socket, before } = await startContainerd(t, lab, async (fresh) => {
    await runRuntimeCommand('install', fresh, agent.address, '--write-config')
    assert.match(
      await runRuntimeCommand('show', fresh, agent.address),
      /^containerd: asks 127\.0\.0\.1:\d+ first\n/,
    )
  })
  await assertPulledThroughAgent(lab, () => pullByCri(socket, REF))

  await removeByCri(socket, REF)
  const ctr = ['--address', socket, '--namespace', 'other', 'images', 'pull', '--snapshotter', 'native']
  await run(programs['ctr'] ?? '', [...ctr, '--hosts-dir', host.at('/etc/containerd/certs.d'), REF])

  // The next install merges with a file that another program has written for a registry.
  const own = '# without a mirror\nserver = "https://registry.test"\n'
  await host.write(`/etc/containerd/certs.d/${REGISTRY}/hosts.toml`, own)
  await assert.rejects(pullByCri(socket, REF))
  await runRuntimeCommand('install', host, agent.address)
  await pullByCri(socket, REF)
  await removeByCri(socket, REF)

  await appendFile(host.at('/etc/containerd/config.toml'), '# a line of another program\n')
  const output = await runRuntimeCommand('uninstall', host, agent.address)
  assert.match(output, /config\.toml: modified since the installation: removed only what install had added/)
  await assert.rejects(pullByCri(socket, REF), 'the registry itself cannot be reached')
  const config = await readFile(host.at('/etc/containerd/config.toml'), 'utf8')
  await host.write('/etc/containerd/config.toml', config.replace('# a line of another program\n', ''))
  await rm(host.at('/etc/containerd/certs.d'), { recursive: true })
  assert.deepEqual(await host.snapshot(), before)
})

test('podman pulls through the agent after an install, and no longer after an uninstall', async (t) => {
  const lab = await startInstallLab(t, ['podman'])
  if (lab === undefined) return
  const { host, before, podman } = await setUpPodman(t, lab, { [CORP.path]: CORP.text })
  await runRuntimeCommand('install', host, lab.agent.address, ...PODMAN_FLAGS, '--only', CORP.registry)
  await assertPulledThroughAgent(lab, () => podman('pull', '--quiet', REF))
  await podman('rmi', '--all', '--force')
  await podman('pull', '--quiet', CORP.ref)
  await runRuntimeCommand('uninstall', host, lab.agent.address)
  assert.deepEqual(await host.snapshot(), before)
  await podman('rmi', '--all', '--force')
  await assert.rejects(podman('pull', '--quiet', REF))
})

test('Docker pulls through the agent after an install and a reload, and no longer after an uninstall', async (t) => {
  const lab = await startInstallLab(t, ['dockerd', 'docker', 'containerd'])
  if (lab === undefined) return
  const host = await Host.make(t, { [DAEMON_JSON.path]: DAEMON_JSON.text })
  const { daemon, docker } = await startDocker(t, lab, host)
  const mirrors = async () => JSON.parse(await docker('info', '--format', '{{json .RegistryConfig.Mirrors}}'))
  /** What `systemctl reload docker` does. */
  const reload = async (first: string) => {
    process.kill(daemon.pid ?? 0, 'SIGHUP')
    await daemon.ready(async () => (await mirrors())[0] === first)
  }

  // Docker has added files of its own.
  const before = await host.snapshot()
  assert.match(
    await runRuntimeCommand('install', host, lab.agent.address),
    /now: reload Docker: systemctl reload docker/,
  )
  await reload(`http://${lab.agent.address}/`)
  await assertPulledThroughAgent(lab, () => docker('pull', '--quiet', DOCKER_REF))
  await runRuntimeCommand('uninstall', host, lab.agent.address)
  assert.deepEqual(await host.snapshot(), before)
  await reload('http://127.0.0.1:1/')
  assert.equal((await mirrors()).length, 1)
})

const MIN_ROUNDS = 3
const MAX_ADDED_MS = 300
/** On a slow machine all steps of a pull take longer, so this part of the pull may be added instead. */
const MAX_ADDED_PART = 0.5
/** On a busy machine it takes several rounds until both kinds of pull were undisturbed once. */
const ROUNDS_MS = 120_000

interface Steps {
  readonly pull: () => Promise<unknown>
  readonly forget: () => Promise<unknown>
}

/**
 * Compares the fastest pull with a mirror that is down with the fastest pull without a mirror, because other programs make
 * single pulls slower, and none faster. `more` are additional flags of the install.
 */
async function assertStoppedAgentAddsLittle(
  t: TestContext,
  { image, upstream }: InstallLab,
  { host, more = [] }: { host: Host; more?: readonly string[] },
  { pull, forget }: Steps,
): Promise<void> {
  // No program listens on this port.
  const unusedAddress = '127.0.0.1:2'
  const pullMs = async (): Promise<number> => {
    await upstream.forget()
    const start = performance.now()
    await pull()
    const ms = performance.now() - start
    for (const { digest } of image.blobs) assert.equal(await upstream.fetches(digest), 1)
    await forget()
    return ms
  }
  await pullMs()
  let [mirrored, plain] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY]
  const deadline = performance.now() + ROUNDS_MS
  // The two kinds take turns, so that other programs disturb both.
  for (let round = 1; ; round++) {
    await runRuntimeCommand('install', host, unusedAddress, ...more)
    mirrored = Math.min(mirrored, await pullMs())
    await runRuntimeCommand('uninstall', host, unusedAddress)
    plain = Math.min(plain, await pullMs())
    const ms = mirrored - plain
    const limit = Math.max(MAX_ADDED_MS, MAX_ADDED_PART * plain)
    if (round < MIN_ROUNDS || (ms > limit && performance.now() < deadline)) continue
    t.diagnostic(`added: ${ms.toFixed(0)} ms, after ${round} rounds`)
    return assert.ok(ms <= limit, `${ms} ms more than ${plain} ms`)
  }
}

test('an agent that is down adds little to a pull with containerd', async (t) => {
  const lab = await startInstallLab(t, ['containerd'])
  if (lab === undefined) return
  const { host, socket } = await startContainerd(t, lab, enableHostsFiles)
  const ref = `127.0.0.1:${lab.upstream.port}/library/app:v1`
  await assertStoppedAgentAddsLittle(
    t,
    lab,
    { host },
    {
      pull: () => pullByCri(socket, ref),
      forget: () => removeByCri(socket, ref),
    },
  )
})

test('an agent that is down adds little to a pull with podman', async (t) => {
  const lab = await startInstallLab(t, ['podman'])
  if (lab === undefined) return
  const registry = `127.0.0.1:${lab.upstream.port}`
  const { host, podman } = await setUpPodman(t, lab, {
    '/etc/containers/registries.conf': `[[registry]]\nlocation = "${registry}"\ninsecure = true\n`,
  })
  await assertStoppedAgentAddsLittle(
    t,
    lab,
    { host, more: ['--runtime', 'crio'] },
    {
      pull: () => podman('pull', '--quiet', `${registry}/library/app:v1`),
      forget: () => podman('rmi', '--all', '--force'),
    },
  )
})
