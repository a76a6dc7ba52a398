import { setTimeout as wait } from 'node:timers/promises'
import type { Client } from '../../client/client.ts'
import type { Loaded } from '../../client/jobs.ts'
import { ACCEPT_MANIFEST, type Blob, type Image } from '../../content.ts'
import type { Agent } from '../../servers/agent.ts'
import type { Background } from './background.ts'
import { steady } from './steady.ts'

/** How long hits took in one turn. */
export interface Hits {
  readonly manifest: Loaded
  readonly blob: Loaded
}

export const MANIFESTS_PER_SECOND = 500
export const BLOBS_PER_SECOND = 200
/** A verification begins with a thread that has to be started, once and not again and again. */
export const SETTLE_MS = 400

/** Has the agent keep them. */
export async function pull(client: Client, agent: Agent, blobs: readonly Blob[]): Promise<void> {
  const downloads = blobs.map(({ digest }) => ({ port: agent.port, path: agent.blobPath(digest) }))
  const got = await client.download(downloads)
  const wrong = got.find((one) => one.status !== 200 || !one.whole)
  if (wrong !== undefined) throw new Error(`a blob did not come whole: ${JSON.stringify(wrong)}`)
}

export async function pullImage(client: Client, agent: Agent, image: Image): Promise<void> {
  const path = agent.manifestPath(image.manifest.digest)
  await client.download([{ port: agent.port, path, headers: ACCEPT_MANIFEST }])
  await pull(client, agent, image.layers)
}

/**
 * For `ms` on the manifest of an image and on its only layer, in the midst of `background`, which has just begun and is
 * stopped then.
 */
export async function hits(agent: Agent, image: Image, ms: number, background?: Background): Promise<Hits> {
  const [layer] = image.layers
  if (layer === undefined) throw new Error('an image without a layer')
  const { port } = agent
  const forManifest = { path: agent.manifestPath(image.manifest.digest), headers: ACCEPT_MANIFEST }
  const forBlob = { path: agent.blobPath(layer.digest) }
  try {
    await wait(SETTLE_MS)
    const [manifest, blob] = await Promise.all([
      steady({ port, request: forManifest, connections: 8, rate: MANIFESTS_PER_SECOND, ms }),
      steady({ port, request: forBlob, connections: 4, rate: BLOBS_PER_SECOND, ms }),
    ])
    if (manifest.failed + blob.failed > 0) throw new Error(`${manifest.failed + blob.failed} hits failed`)
    return { manifest, blob }
  } finally {
    await background?.stop()
  }
}
