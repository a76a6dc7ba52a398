import { Agent as Connections, get } from 'node:http'
import { setTimeout as wait } from 'node:timers/promises'
import { makeCertificates } from '../../../testkit/certificates.ts'
import { Client } from '../../client/client.ts'
import type { Context } from '../../context.ts'
import { withResources } from '../../resources.ts'
import type { Agent } from '../../servers/agent.ts'
import { evictAll } from '../../servers/agent-admin.ts'
import { REPOSITORY } from '../../servers/measured-server.ts'
import { Nginx } from '../../servers/nginx.ts'
import { LOOPBACK, startTwoPeers } from '../../servers/peer.ts'
import { untilStored } from '../../servers/stored.ts'
import { percentile } from '../../stats.ts'

const MIB = 1 << 20
const LAYERS = 4
const LAYER_BYTES = 256 * MIB
const REQUEST_INTERVAL_MS = 10
const NAMESPACE = 'tls.bench.local'

/** How long a manifest takes while layers come to an agent over TLS, and go on to a peer. */
export function manifestsMeanwhile(context: Context): Promise<void> {
  return withResources(async (resources) => {
    const client = resources.add(new Client())
    const folder = resources.add(context.folder('manifests'))
    const content = context.content(folder.path)
    const upstream = resources.add(await Nginx.start(`${folder.path}/nginx`, content, makeCertificates()))
    const config = `  - namespace: ${NAMESPACE}\n    host: 127.0.0.1:${upstream.port}\n    acceptInvalidCerts: true\n`
    const agents = await startTwoPeers(context, resources, folder.path, {
      upstreamPort: upstream.port,
      config,
    })
    const [fetcher] = agents
    const pathOf = (kind: string, digest: string): string =>
      `/v2/${REPOSITORY}/${kind}/${digest}?ns=${NAMESPACE}`
    const rounds = Math.min(context.repetitions, 3)
    const p50: number[] = []
    const p99: number[] = []
    const idleP99: number[] = []
    let copies = 0
    for (let round = 0; round < rounds; round++) {
      const image = await content.image(LAYERS, LAYER_BYTES)
      const manifest = pathOf('manifests', image.manifest.digest)
      await manifestMs(fetcher, manifest, new Connections())
      const idle = await whilePending(fetcher, manifest, wait(2000))
      const files = agents.flatMap((agent) => image.layers.map(({ digest }) => agent.storedFile(digest)))
      const start = (agent: Agent) =>
        client.download(
          image.layers.map(({ digest }) => ({
            ...{ port: agent.port, path: pathOf('blobs', digest) },
            headers: { range: 'bytes=0-0' },
          })),
        )
      const moved = start(fetcher)
        .then(() => start(agents[1]))
        .then(() => untilStored(files))
      const busy = await whilePending(fetcher, manifest, moved)
      if ((await moved) === undefined) throw new Error('the agents have not stored the layers')
      for (const { digest } of image.layers) copies += (await upstream.sent(digest)).bytes / LAYER_BYTES
      const digests = image.layers.map(({ digest }) => digest)
      await Promise.all(agents.map((agent) => evictAll(agent, digests)))
      for (const layer of image.layers) content.drop(layer)
      idleP99.push(percentile(idle, 99))
      p50.push(percentile(busy, 50))
      p99.push(percentile(busy, 99))
    }
    context.report({
      name: `manifest while ${LAYERS} layers of 256 MiB come in over TLS and go out to a peer`,
      figures: [
        { side: 'before that, 99th percentile', unit: 'ms', values: idleP99 },
        { side: 'median', unit: 'ms', values: p50 },
      ],
      checks: [
        { label: '99th percentile', unit: 'ms', values: p99, atMost: 10 },
        { label: 'sent by upstream', unit: 'x', values: [copies / rounds / LAYERS], atMost: 1.02 },
      ],
      notes: [
        'one request every 10 ms on a connection of its own, to the agent that was asked for the layers first',
        'no client reads the layers: both agents were asked for their first byte',
      ],
    })
  })
}

/** Requests the manifest until the work is done. Gives how long each request took, in ms. */
async function whilePending(agent: Agent, path: string, work: Promise<unknown>): Promise<number[]> {
  const connections = new Connections({ keepAlive: true, maxSockets: 1 })
  const took: number[] = []
  let isPending = true
  const done = work.finally(() => {
    isPending = false
  })
  try {
    while (isPending) {
      took.push(await manifestMs(agent, path, connections))
      await wait(REQUEST_INTERVAL_MS)
    }
    await done
    return took
  } finally {
    connections.destroy()
  }
}

function manifestMs(agent: Agent, path: string, connections: Connections): Promise<number> {
  return new Promise((resolve, reject) => {
    const startedAt = performance.now()
    const request = get({ host: LOOPBACK, port: agent.port, path, agent: connections }, (response) => {
      if (response.statusCode !== 200)
        reject(new Error(`the manifest was answered with ${response.statusCode}`))
      response.resume()
      response.once('end', () => resolve(performance.now() - startedAt))
    })
    request.setTimeout(10_000, () => request.destroy(new Error('the manifest was not answered within 10 s')))
    request.once('error', reject)
  })
}
