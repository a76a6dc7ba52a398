import { setTimeout as wait } from 'node:timers/promises'
import { Client } from '../client/client.ts'
import type { Download, LoadRequest } from '../client/jobs.ts'
import { ACCEPT_MANIFEST, type Blob, type Content } from '../content.ts'
import type { Context } from '../context.ts'
import { withResources } from '../resources.ts'
import type { Agent } from '../servers/agent.ts'
import { Nginx } from '../servers/nginx.ts'
import { slope } from '../stats.ts'

const MIB = 1 << 20
const REQUESTS = 10_000
const BLOCKS = 4

/** The resident memory of the agent: at rest, at most, and its growth. */
export function memory(context: Context): Promise<void> {
  return withResources(async (resources) => {
    const client = resources.add(new Client())
    const folder = resources.add(context.folder('data'))
    const content = context.content(folder.path)
    const upstream = resources.add(await Nginx.start(`${folder.path}/nginx`, content))
    const started = await context.agent(`${folder.path}/leat`, upstream.port)
    if (started === undefined) {
      context.report({
        name: 'resident memory',
        figures: [],
        checks: [],
        notes: ['only the agent is measured'],
      })
      return
    }
    const leat = resources.add(started)
    await wait(2000)
    const idle = leat.program.rss()
    context.report({
      name: 'at rest, two seconds after the start',
      figures: [],
      checks: [{ label: 'resident', unit: 'MiB', values: [idle / MIB], atMost: 100 }],
      notes: [],
    })

    const large = await content.blob(256 * MIB)
    const layers = await content.image(4, 64 * MIB)
    const cold = [large, layers.config, ...layers.layers].map((blob) => get(leat, blob))
    await all(client, cold)
    await all(client, Array<Download>(16).fill(get(leat, large)))
    await all(client, Array<Download>(20).fill(get(leat, await content.blob(256 * MIB))))
    const afterPulls = leat.program.peakRss()

    await growth(context, client, leat, await mixture(content, leat))
    const peaks = [...context.peaks, { group: 'memory', bytes: leat.program.peakRss() }]
    const highest = peaks.reduce((most, peak) => (peak.bytes > most.bytes ? peak : most))
    context.report({
      name: `at most, over ${peaks.length} agents`,
      figures: [
        { side: 'after cold, stored and concurrent pulls', unit: 'MiB', values: [afterPulls / MIB] },
        ...peaks.map((peak) => ({ side: `in ${peak.group}`, unit: 'MiB', values: [peak.bytes / MIB] })),
      ],
      checks: [
        { label: `highest, in ${highest.group}`, unit: 'MiB', values: [highest.bytes / MIB], atMost: 160 },
      ],
      notes: ['only the groups of rows of this run are included'],
    })
  })
}

/** The requests of an ordinary node: mostly manifests, small blobs, and ranges of large ones. */
async function mixture(content: Content, leat: Agent): Promise<LoadRequest[]> {
  const image = await content.image(2, 4 * MIB)
  const small = await content.blobs(4, 64 << 10)
  const manifest = { path: leat.manifestPath(image.manifest.digest), headers: ACCEPT_MANIFEST }
  const parts = image.layers.flatMap((layer) => [
    { path: leat.blobPath(layer.digest), headers: { Range: 'bytes=1000000-1499999' } },
    { path: leat.blobPath(layer.digest), headers: { Range: 'bytes=-65536' } },
  ])
  const blobs = small.map((blob) => ({ path: leat.blobPath(blob.digest) }))
  return [...blobs, ...parts].flatMap((other) => [
    manifest,
    other,
    { path: leat.blobPath(image.config.digest) },
  ])
}

async function growth(
  context: Context,
  client: Client,
  leat: Agent,
  requests: readonly LoadRequest[],
): Promise<void> {
  const sample = async (): Promise<number> => {
    const until = { requests: REQUESTS / 20 }
    const got = await client.load({ port: leat.port, requests, connections: 8, protocol: 'http/1.1', until })
    if (got.failed > 0) throw new Error(`${got.failed} of ${got.requests} requests failed`)
    return leat.program.rss() / MIB
  }
  // The heap first grows to its size, and the code is compiled.
  for (let round = 0; round < 20 * 2; round++) await sample()
  const samples: { readonly x: number; readonly y: number }[] = []
  for (let round = 0; round < 20 * BLOCKS; round++) samples.push({ x: round / 20, y: await sample() })
  const resident = samples.map(({ y }) => y)
  context.report({
    name: `manifests, small blobs and ranges: ${BLOCKS * REQUESTS} requests after ${2 * REQUESTS} to warm up`,
    figures: [
      { side: `first ${REQUESTS}`, unit: 'MiB', values: resident.slice(0, 20) },
      { side: `last ${REQUESTS}`, unit: 'MiB', values: resident.slice(-20) },
    ],
    checks: [{ label: `growth per ${REQUESTS}`, unit: 'MiB', values: [slope(samples)], atMost: 5 }],
    notes: [
      'the slope of a line through all samples, because the heap changes with every garbage collection',
    ],
  })
}

function get(leat: Agent, blob: Blob): Download {
  return { port: leat.port, path: leat.blobPath(blob.digest) }
}

async function all(client: Client, downloads: readonly Download[]): Promise<void> {
  const got = await client.download(downloads)
  const wrong = got.find((one) => !one.isWhole || one.status !== 200)
  if (wrong !== undefined) throw new Error(`a blob did not come isWhole: ${JSON.stringify(wrong)}`)
}
