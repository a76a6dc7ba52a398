import assert from 'node:assert/strict'
import { appendFile, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { answersCri, pullByCri, removeByCri } from '../runtimes/cri.ts'
import { Host } from '../runtimes/host.ts'
import { AgentProcess } from '../support/agent-process.ts'
import { Daemon, freePort } from '../support/daemon.ts'
import { buildImage, type Image, push } from '../support/image.ts'
import { requirePrograms, requireRoot, run, tryRun } from '../support/programs.ts'
import { UpstreamRegistry } from '../support/registry.ts'

/** Real runtimes that are told of the agent by `agent runtime install` and by nothing else. */

const MAIN = fileURLToPath(new URL('../../src/main.js', import.meta.url))
/** Exists only for the agent: what is pulled from it has come through the agent. */
const REGISTRY = 'registry.test'
const POLICY = '{ "default": [{ "type": "insecureAcceptAnything" }] }'

interface Lab {
  readonly programs: Readonly<Record<string, string>>
  readonly folder: string
  readonly upstream: UpstreamRegistry
  readonly agent: AgentProcess
  readonly image: Image
  later(stop: () => Promise<unknown>): void
}

async function startLab(t: TestContext, ...names: readonly string[]): Promise<Lab | undefined> {
  const programs: Record<string, string> | undefined = requirePrograms(t, [
    'docker-registry',
    'unshare',
    ...names,
  ])
  if (programs === undefined || !requireRoot(t)) return undefined
  const folder = await mkdtemp(join(tmpdir(), 'leat-'))
  const stops = [() => rm(folder, { recursive: true, force: true, maxRetries: 3 })]
  t.after(async () => {
    for (const stop of stops.reverse()) await stop()
  })
  const later = (stop: () => Promise<unknown>): void => {
    stops.push(async () => {
      await stop()
    })
  }
  const upstream = await UpstreamRegistry.start(programs['docker-registry'] ?? '', join(folder, 'upstream'))
  later(() => upstream.stop())
  const entry = (name: string) =>
    `  - namespace: ${name}\n    host: 127.0.0.1:${upstream.port}\n    tls: false\n`
  const config = `upstreams:\n${entry(REGISTRY)}${entry('docker.io')}`
  const agent = await AgentProcess.start(join(folder, 'agent'), config)
  later(() => agent.stop())
  const image = buildImage('installed', { layerSizes: [64 * 1024, 100] })
  await push(upstream.url, 'library/app', 'v1', image)
  return { programs, folder, upstream, agent, image, later }
}

async function runtime(
  action: string,
  host: Host,
  address: string,
  ...more: readonly string[]
): Promise<string> {
  const args = [MAIN, 'runtime', action, '--root', host.root, '--listen', address, ...more]
  return (await run(process.execPath, args)).stdout
}

/** A command in a mount namespace of its own, in which these folders of the host's are where the program looks. */
function onHost(host: Host, folders: readonly string[], command: readonly string[]): readonly string[] {
  const binds = folders.map((folder) => `mount --bind '${host.at(folder)}' '${folder}' && `).join('')
  return ['--mount', 'sh', '-c', `${binds}exec "$@"`, 'sh', ...command]
}

async function assertPulledThroughAgent(
  { upstream, agent, image }: Lab,
  pull: () => Promise<unknown>,
): Promise<void> {
  await upstream.forget()
  await pull()
  for (const { digest } of [image.manifest, ...image.blobs]) assert.equal(await upstream.fetches(digest), 1)
  const metrics = await (await fetch(`${agent.admin}/metrics`)).text()
  assert.match(metrics, /^leat_served_bytes_total\{source="\w+"\} [1-9]/m)
}

interface Containerd {
  readonly host: Host
  readonly socket: string
}

async function startContainerd(
  t: TestContext,
  lab: Lab,
  tell: (host: Host) => Promise<unknown>,
): Promise<Containerd> {
  const { programs, folder } = lab
  const socket = join(folder, 'containerd.sock')
  const config = `# written by the distribution
version = 2
root = "${join(folder, 'root')}"
state = "${join(folder, 'state')}"
[grpc]
  address = "${socket}"
[plugins]
  [plugins."io.containerd.grpc.v1.cri"]
    # pulls go through here
    [plugins."io.containerd.grpc.v1.cri".containerd]
      snapshotter = "native"
  [plugins."io.containerd.internal.v1.opt"]
    path = "${join(folder, 'opt')}"
`
  const host = await Host.make(t, { '/etc/containerd/config.toml': config })
  await tell(host)
  const command = [programs['containerd'] ?? '', '--log-level', 'warn']
  const daemon = new Daemon(
    'containerd',
    programs['unshare'] ?? '',
    onHost(host, ['/etc/containerd'], command),
  )
  lab.later(() => daemon.stop())
  await daemon.ready(() => answersCri(socket))
  return { host, socket }
}

test('containerd pulls through the agent after an install, by its CRI socket and by ctr, and no longer after an uninstall', async (t) => {
  const lab = await startLab(t, 'containerd', 'ctr')
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

function podman(lab: Lab, host: Host): (...args: readonly string[]) => Promise<string> {
  const { programs, folder } = lab
  const at = join(folder, 'podman')
  const command = [
    programs['podman'] ?? '',
    ...['--root', join(at, 'root'), '--runroot', join(at, 'run'), '--tmpdir', join(at, 'tmp')],
    ...['--storage-driver', 'vfs', '--events-backend', 'none', '--cgroup-manager', 'cgroupfs'],
  ]
  return async (...args) => {
    const wrapped = onHost(host, ['/etc/containers'], [...command, ...args])
    return (await run(programs['unshare'] ?? '', wrapped, { env: { CONTAINERS_REGISTRIES_CONF: undefined } }))
      .stdout
  }
}

test('podman pulls through the agent after an install, and no longer after an uninstall', async (t) => {
  const lab = await startLab(t, 'podman')
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
  const lab = await startLab(t, 'dockerd', 'docker', 'containerd')
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
  const lab = await startLab(t, 'containerd')
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
  const lab = await startLab(t, 'podman')
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
