import { Lab } from '../../../../testkit/lab/lab.ts'
import { Network, type Place, type Rate } from '../../../../testkit/lab/network.ts'
import { Upstream } from '../../../../testkit/lab/upstream.ts'
import type { Context } from '../../../context.ts'
import type { Owned } from '../../../owned.ts'
import { Machine, type Programs } from './machine.ts'
import { SPEGEL_PORT, Spegel } from './spegel.ts'

const AGENT_PORT = 5050

/** A cluster that is ready: a registry, and machines with a mirror each. */
export interface Side {
  readonly upstream: Upstream
  readonly machines: readonly Machine[]
}

export interface SideOptions {
  readonly context: Context
  readonly owned: Owned
  readonly nodes: number
  readonly rate: Rate
  readonly programs: Programs
}

export async function leatSide(options: SideOptions, entry: string): Promise<Side> {
  const { context, owned, nodes, rate } = options
  const folder = owned.add(context.folder('leat'))
  const flags = ['--log-level', 'warn']
  const lab = await Lab.open({ nodes, entry, folder: `${folder.path}/lab`, rate, peers: true, flags })
  owned.add({ stop: () => lab.close() })
  const places = lab.nodes.map((node) => node.place)
  const machines = await machinesAt(options, places, lab.upstream, folder.path, AGENT_PORT)
  return { upstream: lab.upstream, machines }
}

export async function spegelSide(options: SideOptions, program: string): Promise<Side> {
  const { context, owned, nodes, rate } = options
  const folder = owned.add(context.folder('spegel'))
  const network = new Network()
  owned.add({ stop: async () => network.close() })
  const upstream = owned.add(await Upstream.start(network.join('upstream', rate)))
  const places = Array.from({ length: nodes }, (_, at) => network.join(`node-${at}`, rate))
  const machines = await machinesAt(options, places, upstream, folder.path, SPEGEL_PORT)
  const [first, second] = places
  if (first === undefined || second === undefined) throw new Error('two nodes are needed')
  const all = machines.map((machine) => {
    const { label } = machine.place
    const other = machine.place === first ? second : first
    return owned.add(new Spegel(program, machine, `${folder.path}/${label}/spegel`, other.address))
  })
  for (const spegel of all) await spegel.ready()
  return { upstream, machines }
}

async function machinesAt(
  { owned, programs }: SideOptions,
  places: readonly Place[],
  upstream: Upstream,
  folder: string,
  mirrorPort: number,
): Promise<readonly Machine[]> {
  const machines: Machine[] = []
  for (const place of places) {
    const options = { place, folder: `${folder}/${place.label}`, programs, mirrorPort }
    machines.push(owned.add(await Machine.start({ ...options, upstream: upstream.address })))
  }
  return machines
}
