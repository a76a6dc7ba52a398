import { setTimeout as wait } from 'node:timers/promises'
import type { Client } from '../../client/client.ts'
import type { Loaded } from '../../client/jobs.ts'
import { ACCEPT_MANIFEST, type Blob, type Image } from '../../content.ts'
import type { Agent } from '../../servers/agent.ts'
import type { Background } from './background.ts'
import { sendAtRate } from './send-at-rate.ts'

/** The latencies of hits in one turn. */
export interface Hits {
  readonly manifest: Loaded
  readonly blob: Loaded
}

export const MANIFESTS_PER_SECOND = 500
export const BLOBS_PER_SECOND = 200
/** A verification starts a thread, which must not be part of the measurement. */
export const SETTLE_MS = 400

/** Pulls the blobs, which the agent then stores. */
export async function pull(client: Client, agent: Agent, blobs: readonly Blob[]): Promise<void> {
  const downloads = blobs.map(({ digest }) => ({ port: agent.port, path: agent.blobPath(digest) }))
  const got = await client.download(downloads)
  const wrong = got.find((one) => one.status !== 200 || !one.isWhole)
  if (wrong !== undefined) throw new Error(`a blob did not come isWhole: ${JSON.stringify(wrong)}`)
}

export async function pullImage(client: Client, agent: Agent, image: Image): Promise<void> {
  const path = agent.manifestPath(image.manifest.digest)
  await client.download([{ port: agent.port, path, headers: ACCEPT_MANIFEST }])
  await pull(client, agent, image.layers)
}

/** Measures hits on the manifest and the only layer of an image for `ms`. Stops `background`, which has just begun, afterwards. */
export async function hits(agent: Agent, image: Image, ms: number, background?: Background): Promise<Hits> {
  const [layer] = image.layers
  if (layer === undefined) throw new Error('an image without a layer')
  const { port } = agent
  const forManifest = { path: agent.manifestPath(image.manifest.digest), headers: ACCEPT_MANIFEST }
  const forBlob = { path: agent.blobPath(layer.digest) }
  try {
    await wait(SETTLE_MS)
    const [manifest, blob] = await Promise.all([
      sendAtRate({ port, request: forManifest, connections: 8, rate: MANIFESTS_PER_SECOND, ms }),
      sendAtRate({ port, request: forBlob, connections: 4, rate: BLOBS_PER_SECOND, ms }),
    ])
    if (manifest.failed + blob.failed > 0) throw new Error(`${manifest.failed + blob.failed} hits failed`)
    return { manifest, blob }
  } finally {
    await background?.stop()
  }
}
