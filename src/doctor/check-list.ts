import { examineUpstreams } from '../upstream/examine.ts'
import { type AgentAnswer, judgeAgent, queryAgent } from './checks/agent.ts'
import { judgeClock } from './checks/clock.ts'
import { dataFolder, inspectFolder, judgeData } from './checks/data.ts'
import { checkImports } from './checks/imports.ts'
import { checkKubelet } from './checks/kubelet/kubelet.ts'
import { judgeObjectStore } from './checks/object-store.ts'
import { checkPeers } from './checks/peers.ts'
import { judgeRegistry, queryRegistry, registryAddress } from './checks/registry.ts'
import { checkRuntimes } from './checks/runtimes.ts'
import { findSources, judgeSources } from './checks/sources.ts'
import { judgeUpstreams } from './checks/upstreams.ts'
import type { Check } from './run-checks.ts'
import type { NodeSettings } from './tools/node-settings.ts'

const AGENT_MS = 4_000
const REGISTRY_MS = 4_000
const UPSTREAM_MS = 8_000
const OBJECT_STORE_MS = 8_000

/** All checks, in the order of the report. Several need the agent's status, which is requested once. */
export function checksOf(settings: NodeSettings): readonly Check[] {
  const agent = once(() => queryAgent(settings.admin, { signal: AbortSignal.timeout(AGENT_MS) }))
  const registry = once(async () => {
    const address = registryAddress(await agent(), settings)
    const signal = AbortSignal.timeout(REGISTRY_MS)
    return { address, answer: await queryRegistry(address, { isTls: settings.isTls, signal }) }
  })
  const upstreams = once(() =>
    examineUpstreams(settings.upstreams, { signal: AbortSignal.timeout(UPSTREAM_MS) }),
  )
  const objectStore = once(() => examineBucket(settings))
  return [
    {
      name: 'agent',
      run: async () => judgeAgent(await agent(), { ...settings, now: Date.now() }),
    },
    {
      name: 'registry',
      run: async () => {
        const { address, answer } = await registry()
        return judgeRegistry(answer, { ...settings, address })
      },
    },
    {
      name: 'runtimes',
      run: async ({ signal }) => {
        const { address, answer } = await registry()
        const isTls = answer.kind === 'answer' ? answer.isTls : settings.isTls
        return checkRuntimes(settings, { address, isTls, signal })
      },
    },
    {
      name: 'data',
      run: async () => {
        const path = dataFolder(await agent(), settings)
        const folder = await inspectFolder(path)
        const findings = judgeData(folder, { ...settings, path, agent: await agent() })
        if (folder.kind !== 'folder') return findings
        return [...findings, ...(await checkKubelet(path, settings, folder.space.total))]
      },
    },
    {
      name: 'sources',
      run: async () => judgeSources(await findSources(await agent(), settings)),
    },
    {
      name: 'imports',
      run: async ({ signal }) =>
        (await agent()).kind === 'agent' ? checkImports(settings.admin, { signal }) : [],
    },
    {
      name: 'clock',
      run: async () => {
        const clocks = (await upstreams()).flatMap(({ host, aheadMs }) =>
          aheadMs === undefined ? [] : [{ host, aheadMs }],
        )
        const ahead = (await objectStore())?.aheadMs
        if (ahead !== undefined) clocks.push({ host: 'the object store', aheadMs: ahead })
        return judgeClock(agentAheadMs(await agent()), clocks)
      },
    },
    {
      name: 'peers',
      run: async ({ signal }) => checkPeers(settings.peers, { agent: await agent(), signal }),
    },
    {
      name: 'object store',
      run: async () => judgeObjectStore(await objectStore(), await agent()),
    },
    { name: 'upstreams', run: async () => judgeUpstreams(await upstreams()) },
  ]
}

/** Loads what it takes to ask a bucket only when the settings name one. */
async function examineBucket({ objectStore, upstreams, version }: NodeSettings) {
  if (objectStore === undefined) return undefined
  const { examineObjectStore } = await import('../object-store/examine.ts')
  return examineObjectStore(objectStore, {
    userAgent: `leat/${version}`,
    proxies: upstreams.proxies,
    deadlineMs: OBJECT_STORE_MS,
    signal: AbortSignal.timeout(OBJECT_STORE_MS),
  })
}

function agentAheadMs(agent: AgentAnswer): number | undefined {
  return agent.kind === 'agent' ? agent.aheadMs : undefined
}

/** Starts the work at the first call; later calls get the same promise. */
function once<Result>(start: () => Promise<Result>): () => Promise<Result> {
  let result: Promise<Result> | undefined
  return () => {
    result ??= start()
    return result
  }
}
