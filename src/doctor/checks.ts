import { examineUpstreams } from '../upstream/examine.ts'
import { type AgentSeen, judgeAgent, seeAgent } from './checks/agent.ts'
import { judgeClock } from './checks/clock.ts'
import { dataFolder, judgeData, seeFolder } from './checks/data.ts'
import { lookAtPeers } from './checks/peers.ts'
import { judgeRegistry, registryAddress, seeRegistry } from './checks/registry.ts'
import { lookAtRuntimes } from './checks/runtimes.ts'
import { judgeUpstreams } from './checks/upstreams.ts'
import type { Check } from './examine.ts'
import type { Patient } from './tools/node-settings.ts'

const AGENT_MS = 4_000
const REGISTRY_MS = 4_000
const UPSTREAM_MS = 8_000

/** In the order in which they are told. Several of them need what the agent says of itself: it is asked once. */
export function checksOf(patient: Patient): readonly Check[] {
  const agent = once(() => seeAgent(patient.admin, { signal: AbortSignal.timeout(AGENT_MS) }))
  const registry = once(async () => {
    const address = registryAddress(await agent(), patient)
    const signal = AbortSignal.timeout(REGISTRY_MS)
    return { address, seen: await seeRegistry(address, { isTls: patient.isTls, signal }) }
  })
  const upstreams = once(() =>
    examineUpstreams(patient.upstreams, { signal: AbortSignal.timeout(UPSTREAM_MS) }),
  )
  return [
    {
      name: 'agent',
      look: async () => judgeAgent(await agent(), { ...patient, now: Date.now() }),
    },
    {
      name: 'registry',
      look: async () => {
        const { address, seen } = await registry()
        return judgeRegistry(seen, { ...patient, address })
      },
    },
    {
      name: 'runtimes',
      look: async ({ signal }) => {
        const { address, seen } = await registry()
        const isTls = seen.kind === 'answer' ? seen.isTls : patient.isTls
        return lookAtRuntimes(patient, { address, isTls, signal })
      },
    },
    {
      name: 'data',
      look: async () => {
        const path = dataFolder(await agent(), patient)
        return judgeData(await seeFolder(path), { ...patient, path, agent: await agent() })
      },
    },
    {
      name: 'clock',
      look: async () => {
        const seen = (await upstreams()).flatMap(({ host, aheadMs }) =>
          aheadMs === undefined ? [] : [{ host, aheadMs }],
        )
        return judgeClock(aheadOf(await agent()), seen)
      },
    },
    {
      name: 'peers',
      look: async ({ signal }) => lookAtPeers(patient.peers, { agent: await agent(), signal }),
    },
    { name: 'upstreams', look: async () => judgeUpstreams(await upstreams()) },
  ]
}

function aheadOf(agent: AgentSeen): number | undefined {
  return agent.kind === 'agent' ? agent.aheadMs : undefined
}

function once<Seen>(see: () => Promise<Seen>): () => Promise<Seen> {
  let seen: Promise<Seen> | undefined
  return () => {
    seen ??= see()
    return seen
  }
}
