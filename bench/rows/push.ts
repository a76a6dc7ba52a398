import { readFileSync } from 'node:fs'
import { Client } from '../client/client.ts'
import { isCurlInstalled } from '../client/curl.ts'
import { beginPush, curlPush, pushManifests } from '../client/push.ts'
import type { Blob, Content } from '../content.ts'
import type { Context } from '../context.ts'
import { withResources } from '../resources.ts'
import { DockerRegistry, MISSING } from '../servers/docker-registry.ts'
import { type MeasuredServer, REPOSITORY } from '../servers/measured-server.ts'
import { ratios } from '../stats.ts'
import { logins } from './logins.ts'

const MIB = 1 << 20
const AT_ONCE = 16
/** The agent has an upstream that it never asks. */
const NO_UPSTREAM = 1

interface Pushed {
  readonly name: string
  readonly unit: string
  readonly target: number
  /** New content, which is pushed to each server. */
  prepare(content: Content): Promise<readonly Blob[]>
  push(side: MeasuredServer, blobs: readonly Blob[]): Promise<number>
}

export async function push(context: Context): Promise<void> {
  await pushes(context)
  await logins(context)
}

/** How fast clients push, until the answer says that the content is stored. */
function pushes(context: Context): Promise<void> {
  return withResources(async (resources) => {
    const client = resources.add(new Client())
    const folder = resources.add(context.folder('data'))
    const content = context.content(folder.path)
    const docker = await DockerRegistry.start(`${folder.path}/docker`)
    if (docker !== undefined) resources.add(docker)
    const config = `hosted: ["${REPOSITORY}"]\n`
    const leat = await context.agent(`${folder.path}/leat`, NO_UPSTREAM, config)
    if (leat !== undefined) resources.add(leat)
    const sides = [leat, docker].filter((side) => side !== undefined)

    const rows: Pushed[] = [
      {
        name: 'blob of 256 MiB, one client (curl)',
        unit: 'MB/s',
        target: 0.9,
        prepare: (made) => made.blobs(1, 256 * MIB),
        push: pushBlobs,
      },
      {
        name: `blobs of 16 MiB, ${AT_ONCE} clients at once (curl)`,
        unit: 'MB/s',
        target: 1,
        prepare: (made) => made.blobs(AT_ONCE, 16 * MIB),
        push: pushBlobs,
      },
      {
        name: `manifests with a tag, ${AT_ONCE} connections`,
        unit: 'pushes/s',
        target: 3,
        prepare: async (made) => {
          const { manifest, config: imageConfig } = await made.image(0, 0)
          return [manifest, imageConfig]
        },
        push: (side, blobs) => pushTags(client, side, blobs, context.quick ? 400 : 2000),
      },
    ]
    for (const row of rows) {
      if (row.push === pushBlobs && !isCurlInstalled()) continue
      await measure(context, content, sides, row, docker === undefined)
    }
  })
}

async function measure(
  context: Context,
  content: Content,
  sides: readonly MeasuredServer[],
  { name, unit, target, prepare, push: pushTo }: Pushed,
  lacksDocker: boolean,
): Promise<void> {
  const rates = new Map<string, number[]>()
  for (let round = -1; round < context.repetitions; round++) {
    const blobs = await prepare(content)
    for (const side of sides) {
      const rate = await pushTo(side, blobs)
      if (round >= 0) rates.set(side.name, [...(rates.get(side.name) ?? []), rate])
    }
    for (const blob of blobs) content.drop(blob)
  }
  const values = ratios(rates.get('leat') ?? [], rates.get('docker-registry') ?? [])
  context.report({
    name,
    figures: sides.map((side) => ({ side: side.name, unit, values: rates.get(side.name) ?? [] })),
    checks:
      values.length > 0 ? [{ label: 'leat / docker-registry', unit: 'x', values, atLeast: target }] : [],
    notes: lacksDocker ? [MISSING] : [],
  })
}

async function pushBlobs({ port }: MeasuredServer, blobs: readonly Blob[]): Promise<number> {
  const urls = await Promise.all(blobs.map(({ digest }) => beginPush(port, REPOSITORY, digest)))
  const startedAt = performance.now()
  await Promise.all(blobs.map((blob, at) => curlPush(urls[at] ?? '', blob)))
  const bytes = blobs.reduce((sum, { size }) => sum + size, 0)
  return bytes / 1e3 / (performance.now() - startedAt)
}

/** Each manifest has bytes of its own and needs nothing but a small config. */
async function pushTags(
  client: Client,
  { port }: MeasuredServer,
  [manifest, config]: readonly Blob[],
  count: number,
): Promise<number> {
  if (manifest === undefined || config === undefined) throw new Error('there is no image')
  await curlPush(await beginPush(port, REPOSITORY, config.digest), config)
  const image = JSON.parse(readFileSync(manifest.file, 'utf8'))
  const manifests = Array.from({ length: count }, (_, at) =>
    Buffer.from(JSON.stringify({ ...image, annotations: { at: `${at}` } })),
  )
  return pushManifests(client, port, manifests, AT_ONCE)
}
