import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Agent, createAgent } from 'leat'

/** An agent on a free port of the loopback, for the registry given as `host:port`. */
export async function startAgent(registry: string, data: string): Promise<Agent> {
  const agent = createAgent({
    data,
    listen: '127.0.0.1:0',
    maxBytes: '1GiB',
    upstreams: [{ namespace: registry, host: registry, tls: false }],
  })
  await agent.start()
  return agent
}

/** Pulls a manifest through the agent: `npx tsx agent.ts localhost:5000 team/app v1`. */
async function main([registry = '', repository = '', tag = 'latest']: readonly string[]): Promise<void> {
  const data = await mkdtemp(join(tmpdir(), 'leat-example-'))
  const agent = await startAgent(registry, data)
  try {
    const { host, port } = agent.addresses.registry
    const answer = await fetch(`http://${host}:${port}/v2/${registry}/${repository}/manifests/${tag}`)
    console.log(
      answer.status,
      answer.headers.get('docker-content-digest'),
      answer.headers.get('cache-status'),
    )
  } finally {
    await agent.stop({ drainMs: 1000 })
    await rm(data, { recursive: true })
  }
}

if (process.argv[1] === import.meta.filename) await main(process.argv.slice(2))
