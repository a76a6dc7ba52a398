import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { addCleanup } from '../../../testkit/cleanup.ts'
import { Daemon } from '../../../testkit/daemon.ts'
import { run } from '../../../testkit/programs.ts'
import { answersCri } from '../../runtimes/cri-client.ts'
import { Host } from '../../runtimes/host.ts'
import { dockerdOptions } from '../kinds/docker.ts'
import { POLICY, podmanOptions } from '../kinds/podman.ts'
import { type InstallLab, inHostNamespace, REGISTRY } from './install-lab.ts'

/** Real runtimes, each with the configuration files of a host of its own. */

/** Runs a command of a client and returns its output. */
type RunClient = (...args: readonly string[]) => Promise<string>

/** The contents of files by path, as `Host.make` takes them. */
type Files = Readonly<Record<string, string>>

export interface Containerd {
  readonly host: Host
  readonly socket: string
  /** The files of the host before the agent was installed. */
  readonly before: object
  /** Does what `systemctl restart containerd` does. */
  restart(): Promise<void>
}

interface Paths {
  readonly folder: string
  readonly socket: string
}

/** A configuration as most hosts have it, which containerd 2.x reads too. */
function version2({ folder, socket }: Paths): string {
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

/** `prepare` changes the host before containerd starts. */
export async function startContainerd(
  t: TestContext,
  { programs, folder }: Pick<InstallLab, 'programs' | 'folder'>,
  prepare: (host: Host) => Promise<unknown>,
  configFor: (paths: Paths) => string = version2,
): Promise<Containerd> {
  const socket = join(folder, 'containerd.sock')
  const config = configFor({ folder, socket })
  const host = await Host.make(t, { '/etc/containerd/config.toml': config })
  const before = await host.snapshot()
  await prepare(host)
  const command = [programs['containerd'] ?? '', '--log-level', 'warn']
  const wrapped = inHostNamespace(host, ['/etc/containerd'], command)
  let daemon: Daemon | undefined
  const start = async (): Promise<void> => {
    daemon = new Daemon('containerd', programs['unshare'] ?? '', wrapped)
    await daemon.ready(() => answersCri(socket))
  }
  addCleanup(t, () => daemon?.stop())
  await start()
  return {
    host,
    socket,
    before,
    async restart() {
      await daemon?.stop()
      await start()
    },
  }
}

/** Configures containerd to read `hosts.toml` files, so that an install only has to write those. */
export async function enableHostsFiles(host: Host): Promise<void> {
  const path = '/etc/containerd/config.toml'
  const registry =
    '[plugins."io.containerd.grpc.v1.cri".registry]\n  config_path = "/etc/containerd/certs.d"\n'
  await host.write(path, `${await host.read(path)}${registry}`)
  await mkdir(host.at('/etc/containerd/certs.d'))
}

/** The flags of an install for podman and skopeo. */
export const PODMAN_FLAGS = ['--runtime', 'crio', '--only', REGISTRY] as const

/** A file of another owner that podman reads after the agent's, whose settings must stay. */
export const CORP = {
  registry: 'hub.corp',
  path: '/etc/containers/registries.conf.d/90-corp.conf',
  text: `[[registry]]\nprefix = "hub.corp/team"\nlocation = "${REGISTRY}/library"\n`,
  ref: 'hub.corp/team/app:v1',
}

export interface Podman {
  readonly host: Host
  /** The files of the host before the install, with those that podman makes itself. */
  readonly before: object
  readonly podman: RunClient
}

export async function setUpPodman(t: TestContext, lab: InstallLab, files: Files = {}): Promise<Podman> {
  const host = await Host.make(t, { '/etc/containers/policy.json': POLICY, ...files })
  const command = [lab.programs['podman'] ?? '', ...podmanOptions(join(lab.folder, 'podman'))]
  const podman: RunClient = (...args) => runWithRegistries(host, lab, [...command, ...args])
  await podman('images')
  return { host, before: await host.snapshot(), podman }
}

/** Runs a command that reads the host's `/etc/containers`. */
export async function runWithRegistries(
  host: Host,
  { programs }: InstallLab,
  command: readonly string[],
): Promise<string> {
  const wrapped = inHostNamespace(host, ['/etc/containers'], command)
  const env = { CONTAINERS_REGISTRIES_CONF: undefined }
  return (await run(programs['unshare'] ?? '', wrapped, { env })).stdout
}

/** Settings that Docker's host has before the install. */
export const DAEMON_JSON = {
  path: '/etc/docker/daemon.json',
  text: '{\n\t"debug": false,\n\t"registry-mirrors": [ "http://127.0.0.1:1" ]\n}',
}
/** The image of the lab, for Docker, which uses mirrors only for docker.io. */
export const DOCKER_REF = 'docker.io/library/app:v1'

export interface Docker {
  readonly daemon: Daemon
  readonly docker: RunClient
}

export async function startDocker(
  t: TestContext,
  { programs, folder }: InstallLab,
  host: Host,
): Promise<Docker> {
  const { socket, options } = dockerdOptions(folder)
  const command = [programs['dockerd'] ?? '', ...options]
  const daemon = new Daemon(
    'dockerd',
    programs['unshare'] ?? '',
    inHostNamespace(host, ['/etc/docker'], command),
  )
  addCleanup(t, () => daemon.stop())
  const docker: RunClient = async (...args) =>
    (await run(programs['docker'] ?? '', ['--host', socket, ...args])).stdout
  await daemon.ready(async () => (await docker('version')) !== '')
  return { daemon, docker }
}
