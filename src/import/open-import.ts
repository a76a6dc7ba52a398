import { stat } from 'node:fs/promises'
import { type Parsed, parsed } from '../lib/parsed.ts'
import { parsePlatforms } from '../oci/index-selection.ts'
import { Failure } from '../ports/failure.ts'
import type { ImportLine } from '../schemas/import-report.ts'
import { DockerClient } from '../sources/docker/docker-client.ts'
import { type Environment, readDockerHost } from '../sources/docker/docker-host.ts'
import { DockerRegistryFiles } from './caches/docker-registry.ts'
import { OciRegistryFiles } from './caches/oci-registry.ts'
import { RegistryProxyFiles } from './caches/registry-proxy.ts'
import { DaemonRun } from './daemon-run.ts'
import { openArchive } from './formats/archive-images.ts'
import { compressionOf, decompress } from './formats/compressed-archive.ts'
import { FolderImages } from './formats/folder-images.ts'
import type { ImageNames, ImportSource } from './formats/import-source.ts'
import { LayoutImages } from './formats/layout-images.ts'
import { type ImportOptions, ImportRun } from './import-run.ts'
import type { ImportTarget } from './target/import-target.ts'

/** Where images come from, in skopeo's words; the last three are caches of other tools. */
export const IMAGE_TRANSPORTS = ['docker-daemon', 'docker-archive', 'oci', 'oci-archive', 'dir'] as const
export const CACHE_TRANSPORTS = ['oci-registry', 'docker-registry', 'registry-proxy'] as const

export type Transport = (typeof IMAGE_TRANSPORTS)[number] | (typeof CACHE_TRANSPORTS)[number]

/** For decompressed copies, which may be large: /tmp is often in memory. */
const DEFAULT_TEMPORARY_FOLDER = '/var/tmp'

export interface ImportPlace {
  readonly transport: Transport
  /** A path, for some transports with `:` and a name; or the name of an image of Docker. */
  readonly rest: string
}

export interface ImportJob {
  readonly place: ImportPlace
  readonly names: ImageNames
  readonly options: ImportOptions
  /** The variables of Docker's own client. */
  readonly environment: Environment
}

/** Splits `oci:PATH`; undefined: it does not begin with one of the transports. */
export function parsePlace(text: string, transports: readonly Transport[]): ImportPlace | undefined {
  const colon = text.indexOf(':')
  const transport = transports.find((one) => one === text.slice(0, colon))
  const rest = text.slice(colon + 1)
  return transport === undefined || rest === '' ? undefined : { transport, rest }
}

/** Carries out an import. Throws a `Failure` if nothing of it can be imported. */
export async function* runImport(
  { place, names, options, environment }: ImportJob,
  target: ImportTarget,
  { signal }: { signal: AbortSignal },
): AsyncGenerator<ImportLine> {
  if (place.transport !== 'docker-daemon') {
    yield* importFiles(place, { names, options, environment }, target, signal)
    return
  }
  const client = new DockerClient(await readDockerHost('env', environment))
  try {
    yield* new DaemonRun(client, { reference: place.rest, names }, target, options).lines({ signal })
  } finally {
    await client.close()
  }
}

async function* importFiles(
  { transport, rest }: ImportPlace,
  { names, options, environment }: Omit<ImportJob, 'place'>,
  target: ImportTarget,
  signal: AbortSignal,
): AsyncGenerator<ImportLine> {
  const isArchive = transport === 'docker-archive' || transport === 'oci-archive'
  const { path, wanted } =
    isArchive || transport === 'oci' ? await splitPath(rest) : { path: rest, wanted: undefined }
  const folder = environment['TMPDIR'] || DEFAULT_TEMPORARY_FOLDER
  const compression = isArchive ? await compressionOf(path) : undefined
  const copy = compression && (await decompress(path, compression, { folder, signal }))
  try {
    const source = await openSource(transport, { path, file: copy?.path ?? path, wanted, names })
    yield* new ImportRun(source, target, options).lines({ signal })
  } finally {
    await copy?.remove()
  }
}

interface SourcePlace {
  readonly path: string
  /** Where the bytes are: at `path`, or in a decompressed copy. */
  readonly file: string
  readonly wanted: string | undefined
  readonly names: ImageNames
}

async function openSource(transport: Transport, place: SourcePlace): Promise<ImportSource> {
  switch (transport) {
    case 'oci':
    case 'oci-archive':
      return new LayoutImages({ kind: transport, ...place })
    case 'docker-archive':
      return openArchive(place)
    case 'dir':
      return new FolderImages(place)
    case 'docker-registry':
      return new DockerRegistryFiles(place)
    case 'oci-registry':
      return new OciRegistryFiles(place)
    case 'registry-proxy':
      return new RegistryProxyFiles(place)
    case 'docker-daemon':
      throw new Error('an image of Docker is no file')
  }
}

/** `PATH:NAME`, as skopeo splits it: at the first colon, unless the whole text is a path. */
async function splitPath(
  text: string,
): Promise<{ readonly path: string; readonly wanted: string | undefined }> {
  if (await exists(text)) return { path: text, wanted: undefined }
  const colon = text.indexOf(':')
  const path = colon < 0 ? text : text.slice(0, colon)
  if (!(await exists(path))) throw new Failure('unavailable', `${path} does not exist.`)
  return { path, wanted: text.slice(colon + 1) || undefined }
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}

/** The platforms to import; none: all that the source has. */
export function importOptions(platforms: readonly string[]): Parsed<Pick<ImportOptions, 'selection'>> {
  const selection = parsePlatforms(platforms, 'all')
  return selection.ok ? parsed({ selection: selection.value }) : selection
}
