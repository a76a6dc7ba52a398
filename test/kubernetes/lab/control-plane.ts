import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Daemon } from '../../../testkit/daemon.ts'
import { configure } from '../../../testkit/lab/namespaces.ts'
import type { LabMachine } from '../../../testkit/lab/network.ts'
import { tryRun } from '../../../testkit/programs.ts'
import { API_ADDRESS, type Credentials } from './credentials.ts'
import { inNetwork } from './in-network.ts'
import type { Programs } from './programs.ts'

/** The address of the cluster's DNS, as pods know it. */
export const DNS_ADDRESS = '10.96.0.10'
/** The addresses of services; those that no service has are the registries'. */
export const SERVICES = '10.96.0.0/16'
const SERVICE_RANGE = '10.96.0.0/24'

/**
 * etcd, the API server, the controllers, the scheduler and the DNS of a cluster, on a machine of their own. The machine has the
 * addresses of the services, so the nodes need no proxy for them.
 */
export class ControlPlane {
  readonly #daemons: Daemon[] = []
  readonly #machine: LabMachine

  static async start(options: {
    readonly machine: LabMachine
    readonly programs: Programs
    readonly credentials: Credentials
    readonly folder: string
  }): Promise<ControlPlane> {
    const controlPlane = new ControlPlane(options.machine)
    try {
      await controlPlane.#start(options)
      return controlPlane
    } catch (error) {
      await controlPlane.stop()
      throw error
    }
  }

  private constructor(machine: LabMachine) {
    this.#machine = machine
  }

  async #start(options: Parameters<typeof ControlPlane.start>[0]): Promise<void> {
    const { machine, programs, credentials, folder } = options
    await mkdir(folder, { recursive: true })
    configure(
      machine.namespace,
      [API_ADDRESS, DNS_ADDRESS].map((ip) => `address add ${ip}/32 dev lo`),
    )
    const kubernetes = (name: string): string => join(programs.kubernetes, name)
    this.#run('etcd', programs.etcd, [
      `--data-dir=${join(folder, 'etcd')}`,
      '--listen-client-urls=http://127.0.0.1:2379',
      '--advertise-client-urls=http://127.0.0.1:2379',
      '--listen-peer-urls=http://127.0.0.1:2380',
      '--unsafe-no-fsync',
      '--log-level=warn',
    ])
    const api = this.#run(
      'kube-apiserver',
      kubernetes('kube-apiserver'),
      apiServerFlags(machine, credentials),
    )
    const kubectl = inNetwork(machine, kubernetes('kubectl'))
    await api.ready(async () => {
      const args = [...kubectl.args, `--kubeconfig=${credentials.path('admin.conf')}`, 'get', '--raw=/readyz']
      return (await tryRun(kubectl.path, args, { env: { HOME: folder } })).code === 0
    })
    const client = `--kubeconfig=${credentials.path('admin.conf')}`
    this.#run('kube-controller-manager', kubernetes('kube-controller-manager'), [
      client,
      '--leader-elect=false',
      '--bind-address=127.0.0.1',
      '--use-service-account-credentials',
      `--root-ca-file=${credentials.path('ca.crt')}`,
      `--service-account-private-key-file=${credentials.path('accounts.key')}`,
    ])
    this.#run('kube-scheduler', kubernetes('kube-scheduler'), [
      client,
      '--leader-elect=false',
      '--bind-address=127.0.0.1',
    ])
    const names = join(folder, 'Corefile')
    const zone = `kubernetes cluster.local {\n    kubeconfig ${credentials.path('admin.conf')} lab\n  }`
    await writeFile(names, `.:53 {\n  errors\n  ${zone}\n}\n`)
    this.#run('cluster-dns', programs.dns, ['-conf', names])
  }

  #run(name: string, path: string, args: readonly string[]): Daemon {
    const command = inNetwork(this.#machine, path, args)
    const daemon = new Daemon(name, command.path, command.args)
    this.#daemons.push(daemon)
    return daemon
  }

  /** The end of what each program has printed, for the report of a failure. */
  output(characters: number): string {
    return this.#daemons.map(({ name, output }) => `${name}:\n${output.slice(-characters)}`).join('\n')
  }

  async stop(): Promise<void> {
    await Promise.all(this.#daemons.map((daemon) => daemon.stop('SIGKILL')))
  }
}

function apiServerFlags({ address }: LabMachine, credentials: Credentials): string[] {
  return [
    '--etcd-servers=http://127.0.0.1:2379',
    `--bind-address=${API_ADDRESS}`,
    '--secure-port=443',
    `--advertise-address=${address}`,
    `--service-cluster-ip-range=${SERVICE_RANGE}`,
    '--allow-privileged',
    '--authorization-mode=Node,RBAC',
    '--enable-admission-plugins=NodeRestriction',
    `--client-ca-file=${credentials.path('ca.crt')}`,
    `--tls-cert-file=${credentials.path('api.crt')}`,
    `--tls-private-key-file=${credentials.path('api.key')}`,
    `--kubelet-certificate-authority=${credentials.path('ca.crt')}`,
    `--kubelet-client-certificate=${credentials.path('admin.crt')}`,
    `--kubelet-client-key=${credentials.path('admin.key')}`,
    '--kubelet-preferred-address-types=InternalIP',
    '--service-account-issuer=https://kubernetes.default.svc.cluster.local',
    `--service-account-key-file=${credentials.path('accounts.pub')}`,
    `--service-account-signing-key-file=${credentials.path('accounts.key')}`,
  ]
}
