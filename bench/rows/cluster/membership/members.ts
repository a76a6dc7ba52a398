import { fork } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { GossipSimulation } from '../../../../testkit/simulation/gossip/gossip-simulation.ts'
import type { Context } from '../../../context.ts'
import { freePort } from '../../../program.ts'
import { type Resources, withResources } from '../../../resources.ts'
import { startPeer, untilKnown } from '../../../servers/peer.ts'

const MEMBERS = 200
/** As many links as an agent opens. Other members can open more to it, up to 64. */
const LINKS = 24
const KIB = 1024
const REST_MS = 3000
const SEED = 7
const MINUTES = { usual: 3, quick: 1 }

/** What each member of a large swarm costs an agent. */
export async function membership(context: Context): Promise<void> {
  await memory(context)
  gossip(context)
}

async function memory(context: Context): Promise<void> {
  const one: number[] = []
  const many: number[] = []
  for (let round = 0; round < (context.quick ? 1 : 3); round++) {
    await withResources(async (resources) => {
      const folder = resources.add(context.folder('members'))
      // No server listens on this port, and no content is requested.
      const upstreamPort = await freePort()
      const peer = await startPeer(context, resources, `${folder.path}/leat`, { upstreamPort })
      const resident = async (): Promise<number> => {
        await wait(REST_MS)
        return peer.agent.program.rss() / KIB
      }
      const setMembers = await startMembers(resources, peer.dht)
      setMembers(1, 1)
      await untilKnown(peer, 1)
      one.push(await resident())
      setMembers(LINKS, MEMBERS + 1)
      await untilKnown(peer, MEMBERS + 1)
      many.push(await resident())
    })
  }
  const mib = (values: readonly number[]): number[] => values.map((value) => value / KIB)
  context.report({
    name: `memory of an agent that knows ${MEMBERS} more members`,
    figures: [
      { side: 'resident, with 1', unit: 'MiB', values: mib(one) },
      { side: `resident, with ${MEMBERS + 1}`, unit: 'MiB', values: mib(many) },
    ],
    checks: [
      {
        label: 'for each member',
        unit: 'KiB',
        values: many.map((value, at) => (value - (one[at] ?? Number.NaN)) / MEMBERS),
        atMost: 100,
      },
    ],
    notes: [
      `measured: the agent is real, the others are one process to which its links grow from 1 to ${LINKS}`,
    ],
  })
}

/** Starts a process with the other members. The function sets how many have links to the agent, and how many there are. */
async function startMembers(
  resources: Resources,
  dht: string,
): Promise<(links: number, all: number) => void> {
  const child = fork(fileURLToPath(new URL('./swarm-program.js', import.meta.url)), [dht])
  resources.add({
    stop: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return
      const closed = once(child, 'close')
      child.kill('SIGKILL')
      await closed
    },
  })
  await once(child, 'message', { signal: AbortSignal.timeout(10_000) })
  return (links, all) => void child.send([links, all])
}

function gossip(context: Context): void {
  const swarm = new GossipSimulation(SEED)
  for (let at = 0; at < MEMBERS; at++) {
    swarm.after(swarm.random() * 2000, () => swarm.linkToOthers(swarm.add(`node-${at}`)))
  }
  swarm.run(10_000)
  if (swarm.runUntil(() => swarm.areListsRight(), 60_000) === undefined) {
    throw new Error(`${MEMBERS} simulated nodes do not know each other`)
  }
  swarm.run(15_000)
  const minutes = context.quick ? MINUTES.quick : MINUTES.usual
  const { mean, most } = swarm.measureRates(minutes * 60_000)
  context.report({
    name: `gossip of ${MEMBERS} nodes when nothing changes`,
    figures: [{ side: 'sent by a node, on average', unit: 'B/s', values: [mean] }],
    checks: [{ label: 'sent by the node that sends most', unit: 'B/s', values: [most], atMost: 2048 }],
    notes: [
      `simulated: the same code, ${minutes * 60} s of simulated time, keep-alives included (seed ${SEED})`,
    ],
  })
}
