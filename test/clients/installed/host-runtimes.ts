import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { afterwards } from '../../../testkit/cleanup.ts'
import { Daemon } from '../../../testkit/daemon.ts'
import { run } from '../../../testkit/programs.ts'
import { answersCri } from '../../runtimes/cri-client.ts'
import { Host } from '../../runtimes/host.ts'
import { dockerdIn } from '../kinds/docker.ts'
import { POLICY, podmanIn } from '../kinds/podman.ts'
import { type Lab, onHost, REGISTRY } from './install-lab.ts'

/** Real runtimes, each with the settings of a host of its own. */

type Said = (...args: readonly string[]) => Promise<string>

/** By their paths, as `Host.make` takes them. */
type Files = Readonly<Record<string, string>>

export interface Containerd {
  readonly host: Host
  readonly socket: string
  /** All of the host before it was told of the agent. */
  readonly before: object
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

/** `tell`: what is done to its host before it starts. */
export async function startContainerd(
  t: TestContext,
  { programs, folder }: Lab,
  tell: (host: Host) => Promise<unknown>,
  configFor: (places: Places) => string = version2,
): Promise<Containerd> {
  const socket = join(folder, 'containerd.sock')
  const config = configFor({ folder, socket })
  const host = await Host.make(t, { '/etc/containerd/config.toml': config })
  const before = await host.snapshot()
  await tell(host)
  const command = [programs['containerd'] ?? '', '--log-level', 'warn']
  const wrapped = onHost(host, ['/etc/containerd'], command)
  let daemon: Daemon | undefined
  const start = async (): Promise<void> => {
    daemon = new Daemon('containerd', programs['unshare'] ?? '', wrapped)
    await daemon.ready(() => answersCri(socket))
  }
  afterwards(t, () => daemon?.stop())
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

/** Lets containerd read `hosts.toml` files from the start, so that an install has only to write those. */
export async function readHostsFiles(host: Host): Promise<void> {
  const path = '/etc/containerd/config.toml'
  const registry =
    '[plugins."io.containerd.grpc.v1.cri".registry]\n  config_path = "/etc/containerd/certs.d"\n'
  await host.write(path, `${await host.read(path)}${registry}`)
  await mkdir(host.at('/etc/containerd/certs.d'))
}

/** What an install is told so that podman and skopeo go through the agent. */
export const FOR_PODMAN = ['--runtime', 'crio', '--registry', REGISTRY] as const

/** Settings of others that podman reads after ours, with what must stay. */
export const CORP = {
  registry: 'hub.corp',
  path: '/etc/containers/registries.conf.d/90-corp.conf',
  text: `[[registry]]\nprefix = "hub.corp/team"\nlocation = "${REGISTRY}/library"\n`,
  ref: 'hub.corp/team/app:v1',
}

export interface Podman {
  readonly host: Host
  /** All of the host, with the files that podman makes by itself beside its settings. */
  readonly before: object
  readonly podman: Said
}

export async function setUpPodman(t: TestContext, lab: Lab, files: Files = {}): Promise<Podman> {
  const host = await Host.make(t, { '/etc/containers/policy.json': POLICY, ...files })
  const command = [lab.programs['podman'] ?? '', ...podmanIn(join(lab.folder, 'podman'))]
  const podman: Said = (...args) => withRegistriesOf(host, lab, [...command, ...args])
  await podman('images')
  return { host, before: await host.snapshot(), podman }
}

/** Runs a command that looks into `/etc/containers`. */
export async function withRegistriesOf(
  host: Host,
  { programs }: Lab,
  command: readonly string[],
): Promise<string> {
  const wrapped = onHost(host, ['/etc/containers'], command)
  const env = { CONTAINERS_REGISTRIES_CONF: undefined }
  return (await run(programs['unshare'] ?? '', wrapped, { env })).stdout
}

/** Settings that Docker's host has from others. */
export const DAEMON_JSON = {
  path: '/etc/docker/daemon.json',
  text: '{\n\t"debug": false,\n\t"registry-mirrors": [ "http://127.0.0.1:1" ]\n}',
}
/** The lab's image, for Docker, whose mirrors serve docker.io and nothing else. */
export const DOCKER_REF = 'docker.io/library/app:v1'

export interface Docker {
  readonly daemon: Daemon
  readonly docker: Said
}

export async function startDocker(t: TestContext, { programs, folder }: Lab, host: Host): Promise<Docker> {
  const { socket, options } = dockerdIn(folder)
  const command = [programs['dockerd'] ?? '', ...options]
  const daemon = new Daemon('dockerd', programs['unshare'] ?? '', onHost(host, ['/etc/docker'], command))
  afterwards(t, () => daemon.stop())
  const docker: Said = async (...args) =>
    (await run(programs['docker'] ?? '', ['--host', socket, ...args])).stdout
  await daemon.ready(async () => (await docker('version')) !== '')
  return { daemon, docker }
}
