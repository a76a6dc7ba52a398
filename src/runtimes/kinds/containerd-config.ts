import { basename, dirname, posix } from 'node:path'
import { RuntimeFailure } from '../files/failure.ts'
import { insertAt, lineStarts, marked, replaceLine } from '../files/marks.ts'
import type { Present } from '../files/present.ts'
import {
  firstThatMeans,
  quoted,
  readToml,
  sameMeaning,
  strings,
  type Table,
  tableAt,
  withValue,
} from '../files/toml.ts'

export const USUAL_CONFIG = '/etc/containerd/config.toml'
export const USUAL_FOLDER = '/etc/containerd/certs.d'
const MAX_FILES = 100

/** What containerd's own configuration says about where mirrors are looked for. */
export interface ContainerdConfig {
  /** 1, 2 for containerd 1.x and 2.x; 3 and more for 2.x. */
  readonly version: number
  /** The file to change when `config_path` has to be: the last one that speaks of the plugin. */
  readonly file: string
  readonly fileVersion: number
  /** The folders of `config_path`; undefined when it is not set. */
  readonly folders: readonly string[] | undefined
  /** Kubernetes does not pull here, as with Docker's containerd. */
  readonly isCriOff: boolean
  /** Pulls go through the CRI plugin's own client and not through the transfer service. */
  readonly pullsLocally: boolean
  /** A setting besides which containerd refuses `config_path`. */
  readonly conflict: string | undefined
  /** `config_path` stands where this version of the file has no such plugin. */
  readonly misplaced: string | undefined
}

interface Source {
  readonly path: string
  readonly table: Table
}

/** The plugin that pulls, by the version of the file from which on it is called so. */
const PLUGINS: readonly { readonly from: number; readonly name: string }[] = [
  { from: 3, name: 'io.containerd.cri.v1.images' },
  { from: 2, name: 'io.containerd.grpc.v1.cri' },
  { from: 0, name: 'cri' },
]
const CRI = new Set(PLUGINS.map(({ name }) => name))

export async function readContainerdConfig(path: string, present: Present): Promise<ContainerdConfig> {
  const sources = await gathered(path, present)
  const version = versionOf(sources[0]?.table)
  const images = sources.reduce<Table>((so, { table }) => merged(so, imagesIn(table), version), {})
  const last = sources.findLast(({ table }) => imagesIn(table) !== undefined) ?? sources[0]
  const registry = tableAt(images, 'registry')
  const configPath = registry?.['config_path']
  const folders =
    typeof configPath === 'string' ? configPath.split(':').filter((folder) => folder !== '') : []
  const disabled = sources.flatMap(({ table }) => strings(table['disabled_plugins']))
  const tls = Object.entries(tableAt(registry, 'configs') ?? {}).find(
    ([host]) => tableAt(registry, 'configs', host, 'tls') !== undefined,
  )
  return {
    version,
    file: last?.path ?? path,
    fileVersion: versionOf(last?.table),
    folders: folders.length > 0 ? folders : undefined,
    isCriOff: disabled.some((name) => CRI.has(name)),
    pullsLocally: images['use_local_image_pull'] === true || images['discard_unpacked_layers'] === true,
    conflict: hasEntries(tableAt(registry, 'mirrors'))
      ? 'registry.mirrors'
      : tls === undefined
        ? undefined
        : `registry.configs."${tls[0]}".tls`,
    misplaced: misplacedIn(sources),
  }
}

/** The text of its file with `config_path` set to one folder. */
export function withConfigPath(text: string | undefined, config: ContainerdConfig, folder: string): string {
  // Every containerd from 1.6 on takes version 2.
  if (text === undefined) return marked(`version = 2\n${section(2, folder)}`)
  const table = readToml(text, config.file)
  const version = versionOf(table)
  const keys = ['plugins', pluginOf(version), 'registry', 'config_path']
  const after = withValue(table, keys, folder)
  const line = `config_path = ${quoted(folder)}\n`
  const candidates = [
    ...lineStarts(text, /^[ \t]*config_path[ \t]*=/).map((at) => replaceLine(text, at, line)),
    ...lineStarts(text, /^[ \t]*\[[^[\n]*registry[^\n]*\]/).map((at) => {
      const next = text.indexOf('\n', at)
      return insertAt(text, next < 0 ? text.length : next + 1, marked(line))
    }),
    insertAt(text, text.length, marked(section(version, folder))),
  ]
  const found = firstThatMeans(candidates, (candidate) => sameMeaning(candidate, after))
  if (found !== undefined) return found
  throw new RuntimeFailure(
    `${config.file} is written in a way that cannot be added to; add ${shown(version, folder)} by hand`,
  )
}

/** As a sentence gives it to whoever has to add it. */
export function shown(version: number, folder: string): string {
  return `config_path = "${folder}" under [${header(version)}]`
}

function section(version: number, folder: string): string {
  return `[${header(version)}]\n  config_path = ${quoted(folder)}\n`
}

function header(version: number): string {
  const plugin = pluginOf(version)
  return `plugins.${plugin.includes('.') ? `"${plugin}"` : plugin}.registry`
}

function pluginOf(version: number): string {
  return PLUGINS.find(({ from }) => version >= from)?.name ?? 'cri'
}

/** Each file is read by its own version. */
function imagesIn(table: Table): Table | undefined {
  return tableAt(table, 'plugins', pluginOf(versionOf(table)))
}

/** A file that does not say has version 1; a host without a file is like one with version 2. */
function versionOf(table: Table | undefined): number {
  if (table === undefined) return 2
  const version = table['version']
  return typeof version === 'number' ? version : 1
}

/** containerd 1.x replaces a plugin's whole section by that of an imported file, 2.x adds to it. */
function merged(before: Table, next: Table | undefined, version: number): Table {
  if (next === undefined) return before
  return version >= 3 ? deeply(before, next) : next
}

function deeply(before: Table, next: Table): Table {
  const both = { ...before, ...next }
  for (const key of Object.keys(next)) {
    const [a, b] = [tableAt(before, key), tableAt(next, key)]
    if (a !== undefined && b !== undefined) Object.assign(both, { [key]: deeply(a, b) })
  }
  return both
}

/** The file and all that it imports, in the order in which later ones win. */
async function gathered(path: string, present: Present): Promise<readonly Source[]> {
  const sources: Source[] = []
  const pending = [path]
  for (let next = pending.shift(); next !== undefined; next = pending.shift()) {
    if (sources.some((source) => source.path === next)) continue
    if (sources.length === MAX_FILES) throw new RuntimeFailure(`${path} imports more than ${MAX_FILES} files`)
    const text = await present.text(next)
    if (text === undefined) continue
    const table = readToml(text, next)
    sources.push({ path: next, table })
    for (const pattern of strings(table['imports'])) {
      pending.push(...(await matching(posix.resolve(dirname(next), pattern), present)))
    }
  }
  return sources
}

/** Only the last part of a path is expected to have wildcards. */
async function matching(pattern: string, present: Present): Promise<readonly string[]> {
  const name = basename(pattern)
  if (!name.includes('*')) return [pattern]
  const literal = name.split('*').map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'))
  const matches = new RegExp(`^${literal.join('.*')}$`)
  const names = await present.files.names(dirname(pattern))
  return names.filter((one) => matches.test(one)).map((one) => posix.join(dirname(pattern), one))
}

function misplacedIn(sources: readonly Source[]): string | undefined {
  for (const { path, table } of sources) {
    for (const name of CRI) {
      const value = tableAt(table, 'plugins', name, 'registry')?.['config_path']
      if (typeof value === 'string' && value !== '' && pluginOf(versionOf(table)) !== name) {
        return `${path} has it under plugins."${name}", which version ${versionOf(table)} of that file does not know`
      }
    }
  }
  return undefined
}

function hasEntries(table: Table | undefined): boolean {
  return table !== undefined && Object.keys(table).length > 0
}
