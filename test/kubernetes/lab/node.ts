import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Daemon } from '../../../testkit/daemon.ts'
import { configure } from '../../../testkit/lab/namespaces.ts'
import type { LabMachine } from '../../../testkit/lab/network.ts'
import { type Ended, tryRun } from '../../../testkit/programs.ts'
import { answersCri } from '../../runtimes/cri-client.ts'
import { removeControlGroups } from './control-groups.ts'
import type { Credentials } from './credentials.ts'
import { inNetwork } from './in-network.ts'
import { containerdConfig, kubeletConfig, networkConfig } from './node-settings.ts'
import { type Programs, ROOT } from './programs.ts'

const INIT = join(ROOT, 'test/kubernetes/lab/node-init.sh')
const SOCKET = 'run/containerd/containerd.sock'

export interface NodeOptions {
  readonly machine: LabMachine
  readonly name: string
  /** The addresses of the node's pods, such as `10.88.1.0/24`. */
  readonly pods: string
  readonly programs: Programs
  readonly credentials: Credentials
  readonly folder: string
  /** The lines of /etc/hosts. */
  readonly hosts: string
  /** The authorities that the runtime trusts. */
  readonly authorities: string
  readonly zone?: string | undefined
  /** A taint with which the node registers. */
  readonly taint?: { readonly key: string; readonly effect: string } | undefined
}

/**
 * A node: containerd, the kubelet and their pods in namespaces of processes, mounts and network. When the first process ends, the
 * kernel ends all others.
 */
export class ClusterNode {
  readonly name: string
  readonly machine: LabMachine
  readonly #options: NodeOptions
  readonly #daemons: Daemon[] = []
  #pid = 0

  static async start(options: NodeOptions): Promise<ClusterNode> {
    const node = new ClusterNode(options)
    try {
      await node.#start()
      return node
    } catch (error) {
      await node.stop()
      throw error
    }
  }

  private constructor(options: NodeOptions) {
    this.#options = options
    this.name = options.name
    this.machine = options.machine
  }

  /** A path of the node as this machine finds it. */
  path(path: string): string {
    return join(`/proc/${this.#pid}/root`, path)
  }

  /** The socket of the runtime. */
  get socket(): string {
    return this.path(SOCKET)
  }

  /** What the programs of the node have written below /etc. */
  get writtenSettings(): string {
    return join(this.#options.folder, 'etc/written')
  }

  async #start(): Promise<void> {
    const { machine, name, folder, programs } = this.#options
    await this.#writeSettings()
    const first = inNetwork(machine, 'unshare', [
      ...['--mount', '--pid', '--fork', '--kill-child', '--uts', '--ipc'],
      ...['bash', INIT, folder, name],
    ])
    const init = this.#run(`${name}: the first process`, first.path, first.args)
    await init.ready(async () => {
      this.#pid = Number(/^node (\d+)$/m.exec(init.output)?.[1] ?? 0)
      return this.#pid !== 0
    })
    const containerd = this.#runInside(
      'containerd',
      join(programs.containerd, 'containerd'),
      ['--config=/etc/containerd/config.toml'],
      {
        PATH: `${programs.containerd}:/usr/sbin:/usr/bin:/sbin:/bin`,
        SSL_CERT_FILE: '/etc/registries.crt',
      },
    )
    await containerd.ready(() => answersCri(this.socket))
    const { zone, taint } = this.#options
    this.#runInside('kubelet', join(programs.kubernetes, 'kubelet'), [
      '--config=/etc/kubelet.json',
      `--kubeconfig=${this.#options.credentials.path(`${name}.conf`)}`,
      `--hostname-override=${name}`,
      `--node-ip=${machine.address}`,
      ...(zone === undefined ? [] : [`--node-labels=topology.kubernetes.io/zone=${zone}`]),
      ...(taint === undefined ? [] : [`--register-with-taints=${taint.key}=:${taint.effect}`]),
    ])
  }

  /** The files that the first process copies to /etc. */
  async #writeSettings(): Promise<void> {
    const { name, machine, credentials, folder, pods, hosts, authorities } = this.#options
    await credentials.issue(`${name}-server`, [name, machine.address])
    await credentials.issueToClient(name, {
      organization: 'system:nodes',
      commonName: `system:node:${name}`,
    })
    const files = {
      'containerd/config.toml': containerdConfig(),
      'cni/net.d/pods.conflist': networkConfig(pods),
      'kubelet.json': kubeletConfig({
        address: machine.address,
        ca: credentials.path('ca.crt'),
        certificate: credentials.path(`${name}-server`),
      }),
      hosts,
      'resolv.conf': '',
      'registries.crt': authorities,
    }
    const settings = join(folder, 'settings')
    for (const folderOfFile of ['containerd/certs.d', 'cni/net.d']) {
      await mkdir(join(settings, folderOfFile), { recursive: true })
    }
    for (const [path, text] of Object.entries(files)) await writeFile(join(settings, path), text)
    configure(machine.namespace, ['link set lo up'])
  }

  #run(name: string, path: string, args: readonly string[], env?: Record<string, string>): Daemon {
    const daemon = new Daemon(name, path, args, { env: { ...env } })
    this.#daemons.push(daemon)
    return daemon
  }

  #runInside(name: string, path: string, args: readonly string[], env?: Record<string, string>): Daemon {
    return this.#run(`${this.name}: ${name}`, 'nsenter', [...this.#inside, path, ...args], env)
  }

  get #inside(): string[] {
    return ['--target', String(this.#pid), '--mount', '--pid', '--net', '--uts', '--ipc', '--']
  }

  /** Runs a program of this machine on the node. */
  run(path: string, args: readonly string[]): Promise<Ended> {
    return tryRun('nsenter', [...this.#inside, path, ...args])
  }

  /** The end of what each program has printed, for the report of a failure. */
  output(characters: number): string {
    return this.#daemons.map(({ name, output }) => `${name}:\n${output.slice(-characters)}`).join('\n')
  }

  /** Ends the node with all its processes, as a power cut does. */
  async stop(): Promise<void> {
    const [first, ...others] = this.#daemons
    // The first daemon ends when the kernel has ended all processes of the node.
    if (this.#pid === 0 || !killed(this.#pid)) await first?.stop('SIGKILL')
    else await first?.exited()
    this.#pid = 0
    await Promise.all(others.map((daemon) => daemon.stop('SIGKILL')))
    await removeControlGroups(this.#options.folder)
  }
}

/** False if the process has ended by itself. */
function killed(pid: number): boolean {
  try {
    return process.kill(pid, 'SIGKILL')
  } catch {
    return false
  }
}
