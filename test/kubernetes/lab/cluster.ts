import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { makeAuthority } from '../../../testkit/certificates.ts'
import { addCleanup } from '../../../testkit/cleanup.ts'
import { configure } from '../../../testkit/lab/namespaces.ts'
import { type LabMachine, Network } from '../../../testkit/lab/network.ts'
import { buildImage } from '../../../testkit/registries/image.ts'
import { makeClusterFolder, nodeFolder } from './cluster-folder.ts'
import { ControlPlane, SERVICES } from './control-plane.ts'
import { Credentials } from './credentials.ts'
import { Kubectl } from './kubectl.ts'
import { ClusterNode, type NodeOptions } from './node.ts'
import { type Programs, requireCluster } from './programs.ts'
import { ClusterRegistry, type Login } from './registry.ts'

/** How much of the output of each program is printed when a test has failed. */
const OUTPUT_CHARACTERS = 3000

/** A Kubernetes cluster of network namespaces: a machine with the control plane and the registries, and nodes. */
export class Cluster {
  readonly folder: string
  readonly programs: Programs
  readonly control: LabMachine
  readonly kubectl: Kubectl
  readonly nodes: ClusterNode[] = []
  readonly registries: ClusterRegistry[] = []
  readonly #network: Network
  readonly #credentials: Credentials
  readonly #controlPlane: ControlPlane
  readonly #authority = makeAuthority()
  readonly #test: TestContext

  /** Undefined where no cluster can be made: the test is skipped or has failed. The cluster ends with the test. */
  static async start(t: TestContext): Promise<Cluster | undefined> {
    const programs = requireCluster(t)
    if (programs === undefined) return undefined
    const folder = await makeClusterFolder()
    addCleanup(t, () => rm(folder, { recursive: true, force: true, maxRetries: 5 }))
    const network = new Network()
    addCleanup(t, () => network.close())
    const control = network.addMachine('control')
    const credentials = await Credentials.make(join(folder, 'credentials'))
    const parts = { machine: control, programs, credentials, folder: join(folder, 'control') }
    const controlPlane = await ControlPlane.start(parts)
    addCleanup(t, () => controlPlane.stop())
    const cluster = new Cluster({ t, folder, programs, network, control, credentials, controlPlane })
    addCleanup(t, () => cluster.#stopServers())
    addCleanup(t, () => cluster.#explainFailure())
    await cluster.kubectl.wait('create', 'serviceaccount/default')
    await cluster.addRegistry('registry.test')
    await cluster.registry.push('pause', '1', await cluster.podImage('pause', []))
    return cluster
  }

  private constructor(parts: {
    readonly t: TestContext
    readonly folder: string
    readonly programs: Programs
    readonly network: Network
    readonly control: LabMachine
    readonly credentials: Credentials
    readonly controlPlane: ControlPlane
  }) {
    this.folder = parts.folder
    this.programs = parts.programs
    this.control = parts.control
    this.#test = parts.t
    this.#network = parts.network
    this.#credentials = parts.credentials
    this.#controlPlane = parts.controlPlane
    const path = join(parts.programs.kubernetes, 'kubectl')
    this.kubectl = new Kubectl(parts.control, path, this.adminConfig, parts.folder)
  }

  /** The file with which an administrator connects. */
  get adminConfig(): string {
    return this.#credentials.path('admin.conf')
  }

  /** The certificate of the authority that all registries have theirs from. */
  get registryAuthority(): string {
    return this.#authority.ca
  }

  /** `registry.test`, which everybody may pull from. */
  get registry(): ClusterRegistry {
    const [first] = this.registries
    if (first === undefined) throw new Error('the cluster has no registry')
    return first
  }

  /** Nodes that are added later know the registry by its name. */
  async addRegistry(host: string, login?: Login): Promise<ClusterRegistry> {
    const { cert, key } = this.#authority.issue([host])
    const files = { certificate: join(this.folder, `${host}.crt`), key: join(this.folder, `${host}.key`) }
    await writeFile(files.certificate, cert)
    await writeFile(files.key, key)
    const registry = await ClusterRegistry.start({
      machine: this.control,
      host,
      address: `10.96.1.${this.registries.length + 1}`,
      program: this.programs.registry,
      folder: join(this.folder, 'registries', host),
      login,
      ...files,
    })
    this.registries.push(registry)
    return registry
  }

  /** Adds a node. Resolves when pods can run there. */
  async addNode(name: string, options: Pick<NodeOptions, 'zone' | 'taint'> = {}): Promise<ClusterNode> {
    const machine = this.#network.addMachine(name)
    const pods = `10.88.${this.nodes.length + 1}.0/24`
    configure(machine.namespace, [`route add ${SERVICES} via ${this.control.address}`])
    configure(this.control.namespace, [`route add ${pods} via ${machine.address}`])
    const hosts = this.registries.map(({ host, address }) => `${address} ${host}\n`).join('')
    const node = await ClusterNode.start({
      machine,
      name,
      pods,
      programs: this.programs,
      credentials: this.#credentials,
      folder: nodeFolder(this.folder, name),
      hosts: `127.0.0.1 localhost\n${machine.address} ${name}\n${hosts}`,
      authorities: this.registryAuthority,
      ...options,
    })
    this.nodes.push(node)
    await this.kubectl.wait('create', `node/${name}`)
    await this.kubectl.wait('condition=Ready', `node/${name}`)
    return node
  }

  /** An image whose containers wait until they are told to end, with layers of these sizes. */
  async podImage(seed: string, layerSizes: readonly number[]) {
    return buildImage(seed, { layerSizes, program: await readFile(this.programs.pause) })
  }

  /** Prints the state of the cluster and what its programs have printed, if the test has failed. */
  async #explainFailure(): Promise<void> {
    if (!('passed' in this.#test) || this.#test.passed !== false) return
    for (const what of [
      ['pods', '--all-namespaces', '--output=wide'],
      ['events', '--all-namespaces'],
    ]) {
      console.error(await this.kubectl.run(['get', ...what]).catch(String))
    }
    for (const part of [this.#controlPlane, ...this.nodes]) console.error(part.output(OUTPUT_CHARACTERS))
  }

  async #stopServers(): Promise<void> {
    await Promise.all([...this.nodes, ...this.registries].map((server) => server.stop()))
  }
}
