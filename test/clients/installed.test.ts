import assert from 'node:assert/strict'
import { appendFile, mkdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { pullByCri, removeByCri } from '../runtimes/cri.ts'
import { Host } from '../runtimes/host.ts'
import { Daemon, freePort } from '../support/daemon.ts'
import { run, tryRun } from '../support/programs.ts'
import {
  assertPulledThroughAgent,
  onHost,
  POLICY,
  podman,
  REGISTRY,
  runtime,
  startContainerd,
  startLab,
} from './installed-lab.ts'

test('containerd pulls through the agent after an install, by its CRI socket and by ctr, and no longer after an uninstall', async (t) => {
  const lab = await startLab(t, ['containerd', 'ctr'])
  if (lab === undefined) return
  const { agent, programs } = lab
  let before: object = {}
  const { host, socket } = await startContainerd(t, lab, async (fresh) => {
    before = await fresh.everything()
    await runtime('install', fresh, agent.address, '--write-config')
    assert.match(await runtime('show', fresh, agent.address), /^containerd: asks 127\.0\.0\.1:\d+ first\n/)
  })
  const ref = `${REGISTRY}/library/app:v1`
  await assertPulledThroughAgent(lab, () => pullByCri(socket, ref))

  await removeByCri(socket, ref)
  const ctr = ['--address', socket, '--namespace', 'other', 'images', 'pull', '--snapshotter', 'native']
  await run(programs['ctr'] ?? '', [...ctr, '--hosts-dir', host.at('/etc/containerd/certs.d'), ref])

  // Whoever else has a file of its own for a registry is merged with, at the next install.
  const own = '# no mirror of ours\nserver = "https://registry.test"\n'
  await host.write(`/etc/containerd/certs.d/${REGISTRY}/hosts.toml`, own)
  await assert.rejects(pullByCri(socket, ref))
  await runtime('install', host, agent.address)
  await pullByCri(socket, ref)
  await removeByCri(socket, ref)

  await appendFile(host.at('/etc/containerd/config.toml'), '# by other hands\n')
  const said = await runtime('uninstall', host, agent.address)
  assert.match(said, /config\.toml: changed by others since: took out only what install had put in/)
  await assert.rejects(pullByCri(socket, ref), 'the registry itself cannot be reached')
  const config = await readFile(host.at('/etc/containerd/config.toml'), 'utf8')
  await host.write('/etc/containerd/config.toml', config.replace('# by other hands\n', ''))
  await rm(host.at('/etc/containerd/certs.d'), { recursive: true })
  assert.deepEqual(await host.everything(), before)
})

test('podman pulls through the agent after an install, and no longer after an uninstall', async (t) => {
  const lab = await startLab(t, ['podman'])
  if (lab === undefined) return
  const host = await Host.make(t, {
    '/etc/containers/policy.json': POLICY,
    // One of theirs that is read after ours, with what must stay.
    '/etc/containers/registries.conf.d/90-corp.conf': `[[registry]]\nprefix = "hub.corp/team"\nlocation = "${REGISTRY}/library"\n`,
  })
  const run = podman(lab, host)
  // It makes files of its own beside its settings.
  await run('images')
  const before = await host.everything()
  await runtime(
    'install',
    host,
    lab.agent.address,
    '--runtime',
    'crio',
    '--registry',
    REGISTRY,
    '--registry',
    'hub.corp',
  )
  await assertPulledThroughAgent(lab, () => run('pull', '--quiet', `${REGISTRY}/library/app:v1`))
  await run('rmi', '--all', '--force')
  await run('pull', '--quiet', 'hub.corp/team/app:v1')
  await runtime('uninstall', host, lab.agent.address)
  assert.deepEqual(await host.everything(), before)
  await run('rmi', '--all', '--force')
  await assert.rejects(run('pull', '--quiet', `${REGISTRY}/library/app:v1`))
})

test('Docker pulls through the agent after an install and a reload, and no longer after an uninstall', async (t) => {
  const lab = await startLab(t, ['dockerd', 'docker', 'containerd'])
  if (lab === undefined) return
  const { programs, folder } = lab
  const theirs = '{\n\t"debug": false,\n\t"registry-mirrors": [ "http://127.0.0.1:1" ]\n}'
  const host = await Host.make(t, { '/etc/docker/daemon.json': theirs })
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
  const mirrors = async () =>
    JSON.parse((await docker('info', '--format', '{{json .RegistryConfig.Mirrors}}')).stdout)
  /** What `systemctl reload docker` does. */
  const reload = async (first: string) => {
    process.kill(daemon.pid ?? 0, 'SIGHUP')
    await daemon.ready(async () => (await mirrors())[0] === first)
  }

  // With what it has put beside its settings by itself.
  const before = await host.everything()
  assert.match(
    await runtime('install', host, lab.agent.address),
    /now: let Docker read it: systemctl reload docker/,
  )
  await reload(`http://${lab.agent.address}/`)
  await assertPulledThroughAgent(lab, async () => {
    const { code, stderr } = await docker('pull', '--quiet', 'docker.io/library/app:v1')
    assert.equal(code, 0, stderr)
  })
  await runtime('uninstall', host, lab.agent.address)
  assert.deepEqual(await host.everything(), before)
  await reload('http://127.0.0.1:1/')
  assert.equal((await mirrors()).length, 1)
})

const ROUNDS = 9
const MOST_ADDED_MS = 300

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
}

/** How much longer a pull takes with an agent that is gone than without its mirror. */
async function addedByDeadAgent(
  host: Host,
  more: readonly string[],
  pull: () => Promise<unknown>,
  forget: () => Promise<unknown>,
): Promise<number> {
  const dead = `127.0.0.1:${await freePort()}`
  const took = async (): Promise<number> => {
    const start = performance.now()
    await pull()
    const ms = performance.now() - start
    await forget()
    return ms
  }
  await took()
  const [mirrored, plain]: [number[], number[]] = [[], []]
  // In turns, so that whatever else the machine does meets both.
  for (let round = 0; round < ROUNDS; round++) {
    await runtime('install', host, dead, ...more)
    mirrored.push(await took())
    await runtime('uninstall', host, dead)
    plain.push(await took())
  }
  return median(mirrored) - median(plain)
}

test('an agent that is gone adds at most 0.3 s to a pull of containerd', async (t) => {
  const lab = await startLab(t, ['containerd'])
  if (lab === undefined) return
  const { host, socket } = await startContainerd(t, lab, async (fresh) => {
    const path = '/etc/containerd/config.toml'
    const registry =
      '[plugins."io.containerd.grpc.v1.cri".registry]\n  config_path = "/etc/containerd/certs.d"\n'
    await fresh.write(path, `${await fresh.read(path)}${registry}`)
    await mkdir(fresh.at('/etc/containerd/certs.d'))
  })
  const ref = `127.0.0.1:${lab.upstream.port}/library/app:v1`
  const ms = await addedByDeadAgent(
    host,
    [],
    () => pullByCri(socket, ref),
    () => removeByCri(socket, ref),
  )
  t.diagnostic(`added: ${ms.toFixed(0)} ms`)
  assert.ok(ms <= MOST_ADDED_MS, `${ms} ms`)
})

test('an agent that is gone adds at most 0.3 s to a pull of podman', async (t) => {
  const lab = await startLab(t, ['podman'])
  if (lab === undefined) return
  const registry = `127.0.0.1:${lab.upstream.port}`
  const host = await Host.make(t, {
    '/etc/containers/policy.json': POLICY,
    '/etc/containers/registries.conf': `[[registry]]\nlocation = "${registry}"\ninsecure = true\n`,
  })
  const run = podman(lab, host)
  const pull = () => run('pull', '--quiet', `${registry}/library/app:v1`)
  const ms = await addedByDeadAgent(host, ['--runtime', 'crio'], pull, () => run('rmi', '--all', '--force'))
  t.diagnostic(`added: ${ms.toFixed(0)} ms`)
  assert.ok(ms <= MOST_ADDED_MS, `${ms} ms`)
})
