import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { run } from '../../../testkit/programs.ts'
import { agentImage } from './agent-image.ts'
import type { Cluster } from './cluster.ts'
import { inNetwork } from './in-network.ts'
import { ROOT } from './programs.ts'

export const NAMESPACE = 'leat'
const NAME = 'leat'
const HELM_MS = 420_000
/** Helm gives up before that. */
const TIMEOUT = '--timeout=360s'

/** The chart's release `leat`, installed and changed by helm. */
export class Release {
  readonly #cluster: Cluster

  /** Pushes the image of the agent and makes the namespace. Nothing is installed yet. */
  static async prepare(cluster: Cluster): Promise<Release> {
    await cluster.registry.push('leat', '1', await agentImage())
    const metadata = { name: NAMESPACE }
    await cluster.kubectl.apply({ apiVersion: 'v1', kind: 'Namespace', metadata })
    await cluster.kubectl.apply({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'registries', namespace: NAMESPACE },
      data: { 'ca.crt': cluster.registryAuthority },
    })
    return new Release(cluster)
  }

  private constructor(cluster: Cluster) {
    this.#cluster = cluster
  }

  /** Resolves when the agents of all nodes are ready. */
  async install(values: object = {}): Promise<void> {
    await this.#helm(['install', NAME, join(ROOT, 'deploy/chart'), ...(await this.#values(values))])
    await this.rolledOut()
  }

  async upgrade(values: object): Promise<void> {
    await this.#helm(['upgrade', NAME, join(ROOT, 'deploy/chart'), ...(await this.#values(values))])
    await this.rolledOut()
  }

  async rollback(): Promise<void> {
    await this.#helm(['rollback', NAME])
    await this.rolledOut()
  }

  async test(): Promise<void> {
    await this.#helm(['test', NAME, TIMEOUT])
  }

  /** Resolves when all nodes are restored. */
  async uninstall(): Promise<void> {
    await this.#helm(['uninstall', NAME, TIMEOUT])
  }

  async rolledOut(): Promise<void> {
    await this.#cluster.kubectl.rolledOut(NAMESPACE, NAME)
  }

  /** The name of the agent's pod on a node. */
  async podOn(node: string): Promise<string> {
    const { items } = await this.#cluster.kubectl.get<{ items: readonly { metadata: { name: string } }[] }>(
      ...['pods', '--namespace', NAMESPACE, '--selector=app.kubernetes.io/component=agent'],
      `--field-selector=spec.nodeName=${node}`,
    )
    const name = items[0]?.metadata.name
    if (name === undefined) throw new Error(`There is no agent on ${node}.`)
    return name
  }

  async #values(values: object): Promise<string[]> {
    const file = join(this.#cluster.folder, 'values.json')
    const upstreams = this.#cluster.registries.map(({ host }) => ({
      namespace: host,
      host,
      caFile: '/etc/registries/ca.crt',
    }))
    const common = {
      image: { repository: `${this.#cluster.registry.host}/leat`, tag: '1' },
      // The disk of the machine may be as full as it is.
      data: { maxBytes: '2GiB', minFree: '0' },
      dht: { replicas: 1 },
      extraVolumes: [{ name: 'registries', configMap: { name: 'registries' } }],
      extraVolumeMounts: [{ name: 'registries', mountPath: '/etc/registries', readOnly: true }],
    }
    const { config = {}, ...others } = values as { readonly config?: object }
    await writeFile(file, JSON.stringify({ ...common, ...others, config: { upstreams, ...config } }))
    return [`--values=${file}`, '--wait', TIMEOUT]
  }

  async #helm(args: readonly string[]): Promise<void> {
    const { control, programs, adminConfig, folder } = this.#cluster
    const command = inNetwork(control, programs.helm, [...args, `--namespace=${NAMESPACE}`])
    const env = {
      // Its client of Kubernetes has a cache below HOME.
      HOME: folder,
      KUBECONFIG: adminConfig,
      HELM_CACHE_HOME: join(folder, 'helm'),
      HELM_CONFIG_HOME: join(folder, 'helm'),
      HELM_DATA_HOME: join(folder, 'helm'),
    }
    await run(command.path, command.args, { env, deadlineMs: HELM_MS })
  }
}
