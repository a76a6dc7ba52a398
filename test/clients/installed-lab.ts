import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { answersCri } from '../runtimes/cri.ts'
import { Host } from '../runtimes/host.ts'
import { AgentProcess } from '../support/agent-process.ts'
import { Daemon } from '../support/daemon.ts'
import { buildImage, type Image, push } from '../support/image.ts'
import { requirePrograms, requireRoot, run } from '../support/programs.ts'
import { UpstreamRegistry } from '../support/registry.ts'

/** Real runtimes that are told of the agent by `agent runtime install` and by nothing else. */

const MAIN = fileURLToPath(new URL('../../src/main.js', import.meta.url))
/** Exists only for the agent: what is pulled from it has come through the agent. */
export const REGISTRY = 'registry.test'
export const POLICY = '{ "default": [{ "type": "insecureAcceptAnything" }] }'

export interface Lab {
  readonly programs: Readonly<Record<string, string>>
  readonly folder: string
  readonly upstream: UpstreamRegistry
  readonly agent: AgentProcess
  readonly image: Image
  later(stop: () => Promise<unknown>): void
}

/** `settings`: of the agent, besides where it finds its upstream. */
export async function startLab(
  t: TestContext,
  names: readonly string[],
  settings = '',
): Promise<Lab | undefined> {
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
  const config = `upstreams:\n${entry(REGISTRY)}${entry('docker.io')}${settings}`
  const agent = await AgentProcess.start(join(folder, 'agent'), config)
  later(() => agent.stop())
  const image = buildImage('installed', { layerSizes: [64 * 1024, 100] })
  await push(upstream.url, 'library/app', 'v1', image)
  return { programs, folder, upstream, agent, image, later }
}

export async function runtime(
  action: string,
  host: Host,
  address: string,
  ...more: readonly string[]
): Promise<string> {
  const args = [MAIN, 'runtime', action, '--root', host.root, '--listen', address, ...more]
  return (await run(process.execPath, args)).stdout
}

/** A command in a mount namespace of its own, in which these folders of the host's are where the program looks. */
export function onHost(
  host: Host,
  folders: readonly string[],
  command: readonly string[],
): readonly string[] {
  const binds = folders.map((folder) => `mount --bind '${host.at(folder)}' '${folder}' && `).join('')
  return ['--mount', 'sh', '-c', `${binds}exec "$@"`, 'sh', ...command]
}

export async function assertPulledThroughAgent(
  { upstream, agent, image }: Lab,
  pull: () => Promise<unknown>,
): Promise<void> {
  await upstream.forget()
  await pull()
  for (const { digest } of [image.manifest, ...image.blobs]) assert.equal(await upstream.fetches(digest), 1)
  const metrics = await (await fetch(`${agent.admin}/metrics`)).text()
  assert.match(metrics, /^leat_served_bytes_total\{source="\w+"\} [1-9]/m)
}

export interface Containerd {
  readonly host: Host
  readonly socket: string
  /** As `systemctl restart containerd`. */
  restart(): Promise<void>
}

interface Places {
  readonly folder: string
  readonly socket: string
}

/** As most files are that are there today; 2.x reads it too. */
function version2({ folder, socket }: Places): string {
  return `# written by the distribution
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
}

export async function startContainerd(
  t: TestContext,
  lab: Lab,
  tell: (host: Host) => Promise<unknown>,
  configFor: (places: Places) => string = version2,
): Promise<Containerd> {
  const { programs, folder } = lab
  const socket = join(folder, 'containerd.sock')
  const config = configFor({ folder, socket })
  const host = await Host.make(t, { '/etc/containerd/config.toml': config })
  await tell(host)
  const command = [programs['containerd'] ?? '', '--log-level', 'warn']
  const wrapped = onHost(host, ['/etc/containerd'], command)
  let daemon: Daemon | undefined
  const start = async (): Promise<void> => {
    daemon = new Daemon('containerd', programs['unshare'] ?? '', wrapped)
    await daemon.ready(() => answersCri(socket))
  }
  lab.later(async () => await daemon?.stop())
  await start()
  return {
    host,
    socket,
    async restart() {
      await daemon?.stop()
      await start()
    },
  }
}

export function podman(lab: Lab, host: Host): (...args: readonly string[]) => Promise<string> {
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
