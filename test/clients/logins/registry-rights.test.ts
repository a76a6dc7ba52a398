import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { hash } from 'bcrypt'
import { AgentProcess } from '../../../testkit/agent-process.ts'
import { addCleanup } from '../../../testkit/cleanup.ts'
import { requirePrograms, requireRoot, run } from '../../../testkit/programs.ts'
import { buildImage, push } from '../../../testkit/registries/image.ts'
import { UpstreamRegistry } from '../../../testkit/registries/registry.ts'
import { pullByCri, pullWithLoginByCri, removeByCri } from '../../runtimes/cri-client.ts'
import { enableHostsFiles, startContainerd as startContainerdOfHost } from '../installed/host-runtimes.ts'
import { deployText } from '../kinds/client.ts'
import { startContainerd } from '../kinds/containerd.ts'
import { POLICY, podmanOptions } from '../kinds/podman.ts'
import { DockerDaemon } from '../sources/docker-daemon.ts'

/** What clients do of which a registry decides who gets its cached images: docs/private-registries.md says it. */

const REGISTRY = 'registry.test'
const REF = `${REGISTRY}/library/app:v1`
const ALICE = { user: 'alice', password: 'wonder-land' }
const image = buildImage('private', { layerSizes: [300_000, 100] })

interface RightsLab {
  readonly programs: Readonly<Record<string, string>>
  readonly folder: string
  readonly upstream: UpstreamRegistry
  readonly agent: AgentProcess
}

/** A registry where the agent and alice may pull, and an agent that asks it who may have what. */
async function startRightsLab(t: TestContext, names: readonly string[]): Promise<RightsLab | undefined> {
  const programs: Record<string, string> | undefined = requirePrograms(t, ['docker-registry', ...names])
  if (programs === undefined || !requireRoot(t)) return undefined
  // Short, because the path of a Unix socket has at most 107 bytes.
  const folder = await mkdtemp(join(tmpdir(), 'leat-'))
  addCleanup(t, () => rm(folder, { recursive: true, force: true, maxRetries: 3 }))
  const upstream = await UpstreamRegistry.start(programs['docker-registry'] ?? '', join(folder, 'upstream'))
  addCleanup(t, () => upstream.stop())
  await push(upstream.url, 'library/app', 'v1', image)
  await upstream.stop()
  upstream.htpasswd = join(folder, 'users')
  await writeFile(
    upstream.htpasswd,
    `agent:${await hash('own', 5)}\n${ALICE.user}:${await hash(ALICE.password, 5)}\n`,
  )
  await upstream.start()
  const entry = (namespace: string) => ({
    ...{ namespace, host: `127.0.0.1:${upstream.port}`, tls: false, tagTtl: '1h' },
    ...{ username: 'agent', password: 'own', authorize: 'upstream' },
  })
  // JSON is YAML.
  const settings = { upstreams: [entry(REGISTRY), entry('docker.io')] }
  const agent = await AgentProcess.start(join(folder, 'agent'), JSON.stringify(settings))
  addCleanup(t, () => agent.stop())
  return { programs, folder, upstream, agent }
}

test('containerd sends the login of a pull secret to the agent, which asks the registry about it', async (t) => {
  const lab = await startRightsLab(t, ['containerd', 'ctr'])
  if (lab === undefined) return
  const { folder, upstream, agent } = lab
  const hosts = join(folder, 'hosts')
  await mkdir(join(hosts, REGISTRY), { recursive: true })
  await writeFile(
    join(hosts, REGISTRY, 'hosts.toml'),
    await deployText('containerd/hosts.toml', agent.address),
  )
  await mkdir(join(folder, 'containerd'))
  const { containerd = '', ctr = '' } = lab.programs
  const { daemon, common } = await startContainerd({ containerd, ctr }, join(folder, 'containerd'))
  addCleanup(t, () => daemon.stop())
  const pull = (...login: string[]) =>
    run(ctr, [
      ...[...common, 'images', 'pull', '--snapshotter', 'native', '--hosts-dir', hosts],
      ...[...login, REF],
    ])
  const remove = () => run(ctr, [...common, 'images', 'rm', '--sync', REF])
  await assert.rejects(pull())
  await assert.rejects(pull('--user', 'alice:wrong'))
  await pull('--user', `${ALICE.user}:${ALICE.password}`)
  await remove()
  await assert.rejects(pull(), 'the image is cached now')
  await upstream.stop()
  await pull('--user', `${ALICE.user}:${ALICE.password}`)
})

test('the kubelet’s pull through containerd sends the pull secret, and no other pull gets the cached image', async (t) => {
  const lab = await startRightsLab(t, ['containerd', 'unshare'])
  if (lab === undefined) return
  const { socket } = await startContainerdOfHost(t, lab, async (host) => {
    await enableHostsFiles(host)
    const toml = await deployText('containerd/hosts.toml', lab.agent.address)
    await host.write(`/etc/containerd/certs.d/${REGISTRY}/hosts.toml`, toml)
  })
  await assert.rejects(pullByCri(socket, REF))
  await assert.rejects(pullWithLoginByCri(socket, REF, { ...ALICE, password: 'wrong' }))
  await pullWithLoginByCri(socket, REF, ALICE)
  await removeByCri(socket, REF)
  await assert.rejects(pullByCri(socket, REF))
  await lab.upstream.stop()
  await pullWithLoginByCri(socket, REF, ALICE)
})

test('podman and skopeo, and CRI-O by the same library, send the agent the login that is for it, and no other', async (t) => {
  const lab = await startRightsLab(t, ['podman', 'skopeo'])
  if (lab === undefined) return
  const { folder, agent } = lab
  const env = { CONTAINERS_REGISTRIES_CONF: join(folder, 'registries.conf') }
  const text = await deployText('podman/registries.conf', agent.address)
  await writeFile(env.CONTAINERS_REGISTRIES_CONF, text.replaceAll('docker.io', REGISTRY))
  const policy = join(folder, 'policy.json')
  await writeFile(policy, POLICY)
  await mkdir(join(folder, 'podman'))
  const podman = (...args: string[]) =>
    run(lab.programs['podman'] ?? '', [...podmanOptions(join(folder, 'podman')), ...args], { env })
  const pull = (...login: string[]) => podman('pull', '--quiet', '--signature-policy', policy, ...login, REF)
  let copies = 0
  const copy = (...login: string[]) =>
    run(
      lab.programs['skopeo'] ?? '',
      [
        ...['--insecure-policy', '--registries-conf', env.CONTAINERS_REGISTRIES_CONF],
        ...['copy', '--quiet', ...login],
        ...[`docker://${REF}`, `dir:${join(folder, `copy-${copies++}`)}`],
      ],
      { env },
    )
  const auth = { auth: Buffer.from(`${ALICE.user}:${ALICE.password}`).toString('base64') }
  const authfile = join(folder, 'auth.json')
  const login = (...names: string[]) =>
    writeFile(authfile, JSON.stringify({ auths: Object.fromEntries(names.map((name) => [name, auth])) }))
  // The library keeps what is for the registry from its mirrors: `--creds`, and what a file has under its name.
  await login(REGISTRY)
  await assert.rejects(pull())
  await assert.rejects(pull('--creds', `${ALICE.user}:${ALICE.password}`))
  await assert.rejects(copy('--src-authfile', authfile))
  await login(`${agent.address}/${REGISTRY}`)
  await pull('--authfile', authfile)
  await podman('rmi', '--all', '--force')
  await assert.rejects(pull(), 'the image is cached now')
  await copy('--src-authfile', authfile)
  await assert.rejects(copy())
  await lab.upstream.stop()
  await pull('--authfile', authfile)
})

test('Docker sends its mirror no login, and goes to the registry for an image that is not for everybody', async (t) => {
  const lab = await startRightsLab(t, ['dockerd', 'docker', 'containerd', 'skopeo'])
  if (lab === undefined) return
  const { folder, agent, upstream } = lab
  const { dockerd = '', docker = '', skopeo = '' } = lab.programs
  const mirror = ['--registry-mirror', `http://${agent.address}`]
  const daemon = await DockerDaemon.start(t, { dockerd, docker, skopeo }, join(folder, 'docker'), mirror)
  const config = join(folder, 'client')
  await mkdir(config)
  const auth = { auth: Buffer.from(`${ALICE.user}:${ALICE.password}`).toString('base64') }
  await writeFile(
    join(config, 'config.json'),
    JSON.stringify({ auths: { 'https://index.docker.io/v1/': auth } }),
  )
  await upstream.forget()
  await assert.rejects(daemon.docker('--config', config, 'pull', 'library/app:v1'))
  const asked = await upstream.accesses()
  assert.ok(asked.length > 0, 'the mirror was asked')
  assert.deepEqual(new Set(asked.map(({ status }) => status)), new Set([401]))
})
