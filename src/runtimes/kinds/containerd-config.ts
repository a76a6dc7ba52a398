import { basename, dirname, posix } from 'node:path'
import { RuntimeFailure } from '../files/failure.ts'
import { insertAt, lineStarts, replaceLine, withMarkers } from '../files/markers.ts'
import type { OriginalFiles } from '../files/original-files.ts'
import {
  firstWithMeaning,
  readToml,
  sameMeaning,
  strings,
  type Table,
  tableAt,
  tomlString,
  withValue,
} from '../files/toml.ts'

export const DEFAULT_CONFIG = '/etc/containerd/config.toml'
export const DEFAULT_FOLDER = '/etc/containerd/certs.d'
const MAX_FILES = 100

/** The part of containerd's own configuration that decides where it looks for mirrors. */
export interface ContainerdConfig {
  /** Versions 1 and 2 are for containerd 1.x and 2.x, 3 and later for 2.x only. */
  readonly version: number
  /** The file in which `config_path` has to be set: the last one with settings of the plugin. */
  readonly file: string
  readonly fileVersion: number
  /** The folders of `config_path`; undefined if it is not set. */
  readonly folders: readonly string[] | undefined
  /** Whether `config_path` has a colon: the transfer service takes all of it for the name of one folder. */
  readonly isList: boolean
  /** Whether the CRI plugin is disabled, as in the containerd of Docker. Kubernetes then does not pull with it. */
  readonly isCriOff: boolean
  /** The setting because of which pulls use the client of the CRI plugin, which knows lists, and not the transfer service. */
  readonly localPullSetting: string | undefined
  /** A setting that makes containerd reject `config_path`. */
  readonly conflict: string | undefined
  /** Where `config_path` is set for a plugin that this version of the file does not have. */
  readonly misplaced: string | undefined
}

interface ConfigFile {
  readonly path: string
  readonly table: Table
}

/** The names of the plugin that pulls, each with the first version of the file that uses it. */
const PLUGINS: readonly { readonly from: number; readonly name: string }[] = [
  { from: 3, name: 'io.containerd.cri.v1.images' },
  { from: 2, name: 'io.containerd.grpc.v1.cri' },
  { from: 0, name: 'cri' },
]
const PLUGIN_NAMES = new Set(PLUGINS.map(({ name }) => name))

export async function readContainerdConfig(
  path: string,
  originals: OriginalFiles,
): Promise<ContainerdConfig> {
  const files = await readWithImports(path, originals)
  const version = versionOf(files[0]?.table)
  const plugin = files.reduce<Table>((merged, { table }) => mergePlugin(merged, pluginIn(table), version), {})
  const last = files.findLast(({ table }) => pluginIn(table) !== undefined) ?? files[0]
  const registry = tableAt(plugin, 'registry')
  const setting = registry?.['config_path']
  const configPath = typeof setting === 'string' ? setting : ''
  const folders = configPath.split(':').filter((folder) => folder !== '')
  const disabled = files.flatMap(({ table }) => strings(table['disabled_plugins']))
  const tls = Object.entries(tableAt(registry, 'configs') ?? {}).find(
    ([host]) => tableAt(registry, 'configs', host, 'tls') !== undefined,
  )
  return {
    version,
    file: last?.path ?? path,
    fileVersion: versionOf(last?.table),
    folders: folders.length > 0 ? folders : undefined,
    isList: configPath.includes(':'),
    isCriOff: disabled.some((name) => PLUGIN_NAMES.has(name)),
    localPullSetting: localPullSettingIn(plugin),
    conflict: hasEntries(tableAt(registry, 'mirrors'))
      ? 'registry.mirrors'
      : tls === undefined
        ? undefined
        : `registry.configs."${tls[0]}".tls`,
    misplaced: misplacedIn(files),
  }
}

/** The text of `config.file` with `config_path` set to one folder. */
export function withConfigPath(text: string | undefined, config: ContainerdConfig, folder: string): string {
  // containerd 1.6 and later accept version 2.
  if (text === undefined) return withMarkers(`version = 2\n${section(2, folder)}`)
  const table = readToml(text, config.file)
  const version = versionOf(table)
  const keys = ['plugins', pluginOf(version), 'registry', 'config_path']
  const after = withValue(table, keys, folder)
  const line = `config_path = ${tomlString(folder)}\n`
  const candidates = [
    ...lineStarts(text, /^[ \t]*config_path[ \t]*=/).map((at) => replaceLine(text, at, line)),
    ...lineStarts(text, /^[ \t]*\[[^[\n]*registry[^\n]*\]/).map((at) => {
      const next = text.indexOf('\n', at)
      return insertAt(text, next < 0 ? text.length : next + 1, withMarkers(line))
    }),
    insertAt(text, text.length, withMarkers(section(version, folder))),
  ]
  const changed = firstWithMeaning(candidates, (candidate) => sameMeaning(candidate, after))
  if (changed !== undefined) return changed
  throw new RuntimeFailure(
    `${config.file} cannot be changed automatically; add ${configPathText(version, folder)} by hand`,
  )
}

/** The setting as messages name it. */
export function configPathText(version: number, folder: string): string {
  return `config_path = "${folder}" under [${header(version)}]`
}

function section(version: number, folder: string): string {
  return `[${header(version)}]\n  config_path = ${tomlString(folder)}\n`
}

function header(version: number): string {
  const plugin = pluginOf(version)
  return `plugins.${plugin.includes('.') ? `"${plugin}"` : plugin}.registry`
}

function pluginOf(version: number): string {
  return PLUGINS.find(({ from }) => version >= from)?.name ?? 'cri'
}

/** The settings of the plugin that pulls. Its name depends on the version of the file. */
function pluginIn(table: Table): Table | undefined {
  return tableAt(table, 'plugins', pluginOf(versionOf(table)))
}

/**
 * The settings with which containerd 2.1 and later do not use the transfer service (`CheckLocalImagePullConfigs` in its
 * source). Files of version 2 have some of them in the table `containerd` of the plugin.
 */
export function localPullSettingIn(plugin: Table): string | undefined {
  const settings: Table = { ...plugin, ...tableAt(plugin, 'containerd') }
  const flags = ['use_local_image_pull', 'discard_unpacked_layers', 'image_pull_with_sync_fs']
  const flag = flags.find((name) => settings[name] === true)
  if (flag !== undefined) return `${flag} = true`
  if (settings['disable_snapshot_annotations'] === false) return 'disable_snapshot_annotations = false'
  const downloads = settings['max_concurrent_downloads']
  if (downloads !== undefined && downloads !== 3) return `max_concurrent_downloads = ${String(downloads)}`
  const table = ['mirrors', 'configs', 'auths'].find((name) => hasEntries(tableAt(plugin, 'registry', name)))
  return table === undefined ? undefined : `registry.${table}`
}

/** A file without a version has version 1. A host without a file counts as version 2. */
function versionOf(table: Table | undefined): number {
  if (table === undefined) return 2
  const version = table['version']
  return typeof version === 'number' ? version : 1
}

/** In containerd 1.x an imported file replaces the whole section of a plugin, in 2.x it adds to the section. */
function mergePlugin(before: Table, next: Table | undefined, version: number): Table {
  if (next === undefined) return before
  return version >= 3 ? mergeDeep(before, next) : next
}

function mergeDeep(before: Table, next: Table): Table {
  const both = { ...before, ...next }
  for (const key of Object.keys(next)) {
    const [a, b] = [tableAt(before, key), tableAt(next, key)]
    if (a !== undefined && b !== undefined) Object.assign(both, { [key]: mergeDeep(a, b) })
  }
  return both
}

/** Reads the file and all that it imports. Settings of later files override those of earlier ones. */
async function readWithImports(path: string, originals: OriginalFiles): Promise<readonly ConfigFile[]> {
  const files: ConfigFile[] = []
  const pending = [path]
  for (let next = pending.shift(); next !== undefined; next = pending.shift()) {
    if (files.some((file) => file.path === next)) continue
    if (files.length === MAX_FILES) throw new RuntimeFailure(`${path} imports more than ${MAX_FILES} files`)
    const text = await originals.text(next)
    if (text === undefined) continue
    const table = readToml(text, next)
    files.push({ path: next, table })
    for (const pattern of strings(table['imports'])) {
      pending.push(...(await expandPattern(posix.resolve(dirname(next), pattern), originals)))
    }
  }
  return files
}

/** Only the last part of a pattern may have wildcards. */
async function expandPattern(pattern: string, originals: OriginalFiles): Promise<readonly string[]> {
  const name = basename(pattern)
  if (!name.includes('*')) return [pattern]
  const literal = name.split('*').map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'))
  const matches = new RegExp(`^${literal.join('.*')}$`)
  const names = await originals.files.names(dirname(pattern))
  return names.filter((each) => matches.test(each)).map((each) => posix.join(dirname(pattern), each))
}

function misplacedIn(files: readonly ConfigFile[]): string | undefined {
  for (const { path, table } of files) {
    for (const name of PLUGIN_NAMES) {
      const value = tableAt(table, 'plugins', name, 'registry')?.['config_path']
      if (typeof value === 'string' && value !== '' && pluginOf(versionOf(table)) !== name) {
        return `${path} has config_path under plugins."${name}", which version ${versionOf(table)} of that file does not know`
      }
    }
  }
  return undefined
}

function hasEntries(table: Table | undefined): boolean {
  return table !== undefined && Object.keys(table).length > 0
}
