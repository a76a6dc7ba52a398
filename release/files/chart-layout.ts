import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join, sep } from 'node:path'
import { gzipSync } from 'node:zlib'
import { parse } from 'yaml'
import { TarWriter } from '../../src/lib/tar/tar-writer.ts'

const TYPES = {
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  index: 'application/vnd.oci.image.index.v1+json',
  chartConfig: 'application/vnd.cncf.helm.config.v1+json',
  chartContent: 'application/vnd.cncf.helm.chart.content.v1.tar+gzip',
} as const

interface ChartFile {
  readonly name: string
  readonly version: string
}

interface Part {
  readonly mediaType: string
  readonly digest: string
  readonly size: number
}

/**
 * Writes the chart as an OCI layout in a tar archive, as `helm push` would store it in a registry, and gives the name of the
 * file in `target`. Equal charts make equal archives.
 */
export async function packChart(chart: string, target: string): Promise<string> {
  const described: ChartFile & Readonly<Record<string, unknown>> = parse(
    readFileSync(join(chart, 'Chart.yaml'), 'utf8'),
  )
  const { name, version } = described
  const blobs = new Map<string, Uint8Array>()
  const add = (mediaType: string, bytes: Uint8Array): Part => {
    const hex = createHash('sha256').update(bytes).digest('hex')
    blobs.set(`blobs/sha256/${hex}`, bytes)
    return { mediaType, digest: `sha256:${hex}`, size: bytes.length }
  }
  const config = add(TYPES.chartConfig, json(described))
  const content = gzipSync(await archiveOf(chartFiles(chart, name)), { level: 9 })
  const manifest = add(
    TYPES.manifest,
    json({
      schemaVersion: 2,
      mediaType: TYPES.manifest,
      config,
      layers: [add(TYPES.chartContent, content)],
      annotations: { 'org.opencontainers.image.title': name, 'org.opencontainers.image.version': version },
    }),
  )
  const index = {
    schemaVersion: 2,
    mediaType: TYPES.index,
    manifests: [{ ...manifest, annotations: { 'org.opencontainers.image.ref.name': version } }],
  }
  const files = new Map([
    ...blobs,
    ['oci-layout', json({ imageLayoutVersion: '1.0.0' })],
    ['index.json', json(index)],
  ])
  const file = `${name}-chart-${version}.oci.tar`
  writeFileSync(join(target, file), await archiveOf(files))
  return file
}

/** The files of the chart below the folder of its name, as Helm wants them. */
function chartFiles(chart: string, name: string): ReadonlyMap<string, Uint8Array> {
  const paths = readdirSync(chart, { recursive: true, encoding: 'utf8' })
    .filter((path) => statSync(join(chart, path)).isFile())
    .map((path) => path.split(sep).join('/'))
    .filter((path) => path !== '.DS_Store' && !path.endsWith('.tgz'))
    .sort()
  return new Map(paths.map((path) => [`${name}/${path}`, readFileSync(join(chart, path))]))
}

async function archiveOf(files: ReadonlyMap<string, Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  const writer = new TarWriter(async (bytes) => void chunks.push(Buffer.from(bytes)))
  for (const [path, bytes] of files) {
    await writer.addFile(path, bytes.length)
    await writer.write(bytes)
  }
  await writer.end()
  return Buffer.concat(chunks)
}

function json(value: unknown): Uint8Array {
  return Buffer.from(JSON.stringify(value))
}
