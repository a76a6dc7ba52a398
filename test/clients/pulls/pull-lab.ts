import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { AgentProcess } from '../../../testkit/agent-process.ts'
import { addCleanup } from '../../../testkit/cleanup.ts'
import { requirePrograms, requireRoot } from '../../../testkit/programs.ts'
import { UpstreamRegistry } from '../../../testkit/registries/registry.ts'
import type { Client, ClientKind } from '../kinds/client.ts'

/** An upstream, an agent in front of it, and real clients that pull from the agent. */
export interface PullLab {
  readonly upstream: UpstreamRegistry
  readonly agent: AgentProcess
  readonly clients: readonly Client[]
  /** Restarts the agent on the same data with this `tagTtl`, and returns the exit code of the first one. */
  restartAgent(tagTtl: string): Promise<number | null | undefined>
}

/** Undefined where a client is missing: the test is skipped or has failed. Everything ends with the test. */
export async function startPullLab(
  t: TestContext,
  kinds: readonly ClientKind[],
  /** More settings of the agent, as lines of YAML. */
  more = '',
): Promise<PullLab | undefined> {
  const names = ['docker-registry', ...kinds.flatMap((kind) => kind.programs)]
  const programs: Record<string, string> | undefined = requirePrograms(t, names)
  if (programs === undefined) return undefined
  if (kinds.some((kind) => kind.needsRoot) && !requireRoot(t)) return undefined

  // Short, because the path of a Unix socket has at most 107 bytes.
  const folder = await mkdtemp(join(tmpdir(), 'leat-'))
  addCleanup(t, () => rm(folder, { recursive: true, force: true, maxRetries: 3 }))

  const upstream = await UpstreamRegistry.start(programs['docker-registry'] ?? '', join(folder, 'upstream'))
  addCleanup(t, () => upstream.stop())
  const registries = [...new Set(kinds.map((kind) => kind.registry))]
  const agent = await AgentProcess.start(
    join(folder, 'agent'),
    `${configOf(registries, upstream.port, '1h')}${more}`,
  )
  addCleanup(t, () => agent.stop())
  const clients: Client[] = []
  for (const [at, kind] of kinds.entries()) {
    const client = await kind.start(programs, join(folder, `client-${at}`), agent.address)
    addCleanup(t, () => client.stop())
    clients.push(client)
  }
  return {
    upstream,
    agent,
    clients,
    async restartAgent(tagTtl) {
      const code = await agent.stop()
      await agent.start(`${configOf(registries, upstream.port, tagTtl)}${more}`)
      return code
    },
  }
}

function configOf(registries: readonly string[], port: number, tagTtl: string): string {
  const entries = registries.map(
    (registry) => `  - namespace: ${registry}
    host: 127.0.0.1:${port}
    tls: false
    tagTtl: ${tagTtl}
    staleIfError: 1h
`,
  )
  return `upstreams:\n${entries.join('')}`
}
