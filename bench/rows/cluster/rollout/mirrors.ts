import { Lab } from '../../../../testkit/lab/lab.ts'
import { type LabMachine, Network, type Rate } from '../../../../testkit/lab/network.ts'
import { Upstream } from '../../../../testkit/lab/upstream.ts'
import type { Context } from '../../../context.ts'
import type { Resources } from '../../../resources.ts'
import { Containerd, type Programs } from './containerd.ts'
import { SPEGEL_PORT, Spegel } from './spegel.ts'

const AGENT_PORT = 5050

/** A cluster that is ready: a registry, and nodes that have a containerd and a mirror each. */
export interface MirroredCluster {
  readonly upstream: Upstream
  readonly runtimes: readonly Containerd[]
}

export interface ClusterOptions {
  readonly context: Context
  readonly resources: Resources
  readonly nodes: number
  readonly rate: Rate
  readonly programs: Programs
}

export async function startWithLeat(options: ClusterOptions, entry: string): Promise<MirroredCluster> {
  const { context, resources, nodes, rate } = options
  const folder = resources.add(context.folder('leat'))
  const flags = ['--log-level', 'warn']
  const lab = await Lab.open({ nodes, entry, folder: `${folder.path}/lab`, rate, peers: true, flags })
  resources.add({ stop: () => lab.close() })
  const machines = lab.nodes.map((node) => node.machine)
  const runtimes = await startRuntimes(options, machines, lab.upstream, folder.path, AGENT_PORT)
  return { upstream: lab.upstream, runtimes }
}

export async function startWithSpegel(options: ClusterOptions, program: string): Promise<MirroredCluster> {
  const { context, resources, nodes, rate } = options
  const folder = resources.add(context.folder('spegel'))
  const network = new Network()
  resources.add({ stop: async () => network.close() })
  const upstream = resources.add(await Upstream.start(network.addMachine('upstream', rate)))
  const machines = Array.from({ length: nodes }, (_, at) => network.addMachine(`node-${at}`, rate))
  const runtimes = await startRuntimes(options, machines, upstream, folder.path, SPEGEL_PORT)
  const [first, second] = machines
  if (first === undefined || second === undefined) throw new Error('two nodes are needed')
  const mirrors = runtimes.map((runtime) => {
    const { label } = runtime.machine
    const other = runtime.machine === first ? second : first
    return resources.add(new Spegel(program, runtime, `${folder.path}/${label}/spegel`, other.address))
  })
  for (const mirror of mirrors) await mirror.ready()
  return { upstream, runtimes }
}

async function startRuntimes(
  { resources, programs }: ClusterOptions,
  machines: readonly LabMachine[],
  upstream: Upstream,
  folder: string,
  mirrorPort: number,
): Promise<readonly Containerd[]> {
  const runtimes: Containerd[] = []
  for (const machine of machines) {
    const options = { machine, folder: `${folder}/${machine.label}`, programs, mirrorPort }
    runtimes.push(resources.add(await Containerd.start({ ...options, upstream: upstream.address })))
  }
  return runtimes
}
