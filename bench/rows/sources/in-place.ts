import { linkSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Client } from '../../client/client.ts'
import type { Blob, Image } from '../../content.ts'
import type { Context } from '../../context.ts'
import { withResources } from '../../resources.ts'
import { type Agent, NAMESPACE } from '../../servers/agent.ts'
import { hex, REPOSITORY } from '../../servers/measured-server.ts'
import { Nginx } from '../../servers/nginx.ts'
import { ratios } from '../../stats.ts'
import { alternate, downloadRate, type Side } from './alternate.ts'
import { writeLayout } from './oci-layout.ts'

const MIB = 1 << 20
const FOLDER_NAME = `folder/${REPOSITORY}`

/** Serves files of an OCI layout and of a folder of skopeo, which nginx serves too. */
export function inPlace(context: Context): Promise<void> {
  return withResources(async (resources) => {
    const client = resources.add(new Client())
    const folder = resources.add(context.folder('in-place'))
    const content = context.content(folder.path)
    const nginx = resources.add(await Nginx.start(`${folder.path}/nginx`, content))
    const large = await content.blob(256 * MIB)
    const each = await content.blobs(1 + context.repetitions, 64 * MIB)
    const image = await content.imageOf([large, ...each])
    const layout = join(folder.path, 'layout')
    const skopeo = join(folder.path, 'skopeo')
    writeLayout(layout, image)
    writeSkopeoFolder(join(skopeo, REPOSITORY, 'v1'), image)
    const agent = await context.agent(
      `${folder.path}/leat`,
      nginx.port,
      `sources:
  - { ociLayout: ${layout}, registry: ${NAMESPACE} }
  - { dir: ${skopeo}, registry: ${NAMESPACE}, namePrefix: folder }
`,
    )
    if (agent === undefined) return
    const leat = resources.add(agent)

    const sides = sidesFor(leat, nginx, large)
    const rates = await alternate(client, sides, context.repetitions)
    const [layoutRates = [], folderRates = [], nginxRates = []] = [...rates.values()]
    context.report({
      name: 'blob of 256 MiB in place, one client',
      figures: [...rates].map(([side, values]) => ({ side, unit: 'MB/s', values })),
      checks: [
        { label: 'OCI layout / nginx', unit: 'x', values: ratios(layoutRates, nginxRates), atLeast: 0.9 },
        {
          label: 'folder of skopeo / nginx',
          unit: 'x',
          values: ratios(folderRates, nginxRates),
          atLeast: 0.9,
        },
      ],
      notes: [],
    })
    await firstRequests(context, client, { leat, nginx, layers: each })
  })
}

/** The agent hashes a file at its first request, and holds back the last bytes until it is done. */
async function firstRequests(
  context: Context,
  client: Client,
  { leat, nginx, layers }: { leat: Agent; nginx: Nginx; layers: readonly Blob[] },
): Promise<void> {
  const rates: [number[], number[]] = [[], []]
  for (const [round, layer] of layers.entries()) {
    const [layoutSide, , nginxSide] = sidesFor(leat, nginx, layer)
    if (layoutSide === undefined || nginxSide === undefined) continue
    const first = await downloadRate(client, layoutSide)
    const second = await downloadRate(client, nginxSide)
    if (round === 0) continue
    rates[0].push(first)
    rates[1].push(second)
  }
  context.report({
    name: 'blob of 64 MiB in place, at its first request',
    figures: [
      { side: 'leat, OCI layout', unit: 'MB/s', values: rates[0] },
      { side: 'nginx', unit: 'MB/s', values: rates[1] },
    ],
    checks: [{ label: 'OCI layout / nginx', unit: 'x', values: ratios(rates[0], rates[1]) }],
    notes: [],
  })
}

function sidesFor(leat: Agent, nginx: Nginx, { digest, size }: Blob): readonly Side[] {
  return [
    { name: 'leat, OCI layout', port: leat.port, path: leat.blobPath(digest), size },
    { name: 'leat, folder of skopeo', port: leat.port, path: leat.blobPath(digest, FOLDER_NAME), size },
    { name: 'nginx', port: nginx.port, path: nginx.blobPath(digest), size },
  ]
}

function writeSkopeoFolder(folder: string, { manifest, config, layers }: Image): void {
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'version'), 'Directory Transport Version: 1.1\n')
  for (const blob of [config, ...layers]) linkSync(blob.file, join(folder, hex(blob.digest)))
  linkSync(manifest.file, join(folder, 'manifest.json'))
}
