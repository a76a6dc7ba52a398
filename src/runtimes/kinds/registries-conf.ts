import { CHECK_REPOSITORY } from '../../oci/names/check-repository.ts'
import { registryInPath } from '../../oci/names/registry-host.ts'
import { RuntimeFailure } from '../files/failure.ts'
import { withMarkers } from '../files/markers.ts'
import type { MirrorSettings } from '../files/plan.ts'
import { isTable, readToml, strings, type Table, tableAt, tomlString } from '../files/toml.ts'

/** Public registries. These files have no entry for all registries. */
export const WELL_KNOWN = [
  'docker.io',
  'ghcr.io',
  'quay.io',
  'registry.k8s.io',
  'gcr.io',
  'k8s.gcr.io',
  'public.ecr.aws',
  'mcr.microsoft.com',
  'registry.gitlab.com',
  'registry.access.redhat.com',
  'registry.fedoraproject.org',
  'registry.opensuse.org',
  'registry.suse.com',
  'nvcr.io',
  'docker.elastic.co',
  'cgr.dev',
  // `agent doctor` has CRI-O pull its image.
  CHECK_REPOSITORY.registry,
]

/** A file of others. Entries of later files override those of earlier ones. */
export interface RegistryFile {
  readonly name: string
  readonly text: string
}

/** An effective `[[registry]]`, and its file. */
interface Entry {
  readonly prefix: string
  readonly table: Table
  readonly file: string
}

export interface Mirrored {
  /** The text of the own file; empty if it needs no entry. */
  readonly text: string
  /** Files of others with entries that the own file replaces. */
  readonly replaced: readonly string[]
  readonly notes: readonly string[]
  /** Prefixes for which others have added this mirror already. */
  readonly byOthers: readonly string[]
}

/**
 * Makes the own file. An entry replaces the whole entry of an earlier file for the same prefix, so each own entry copies
 * the entry that it replaces, and puts the agent first among its mirrors.
 */
export function mirrorsFor(
  files: readonly RegistryFile[],
  {
    address,
    isInsecure,
    only,
    alsoFor,
  }: Pick<MirrorSettings, 'address' | 'only' | 'alsoFor'> & { readonly isInsecure: boolean },
): Mirrored {
  const documents = files.map(({ name, text }) => ({ name, table: readToml(text, name) }))
  const entries = entriesOf(documents)
  const searched = documents.flatMap(({ table }) => searchRegistries(table))
  const named = only ?? [...WELL_KNOWN, ...searched, ...alsoFor]
  const prefixes = new Set(named.filter((prefix) => entries.has(prefix) || !isCovered(prefix, entries)))
  for (const prefix of entries.keys()) {
    if (only === undefined || only.includes(hostOf(prefix))) prefixes.add(prefix)
  }
  const blocks: string[] = []
  const replaced = new Set<string>()
  const notes: string[] = []
  const byOthers: string[] = []
  for (const prefix of prefixes) {
    const entry = entries.get(prefix)
    const table = entry?.table ?? { prefix }
    if (table['blocked'] === true) continue
    const location = typeof table['location'] === 'string' ? table['location'] : prefix
    const path = pathOf(location)
    if (prefix.startsWith('*.') || path === undefined) {
      notes.push(
        `${prefix} gets no mirror, because it does not correspond to one path at the agent; name its registries with --only`,
      )
      continue
    }
    const mirror = `${address}/${path}`
    if (mirrorsOf(table).some((other) => other['location'] === mirror)) {
      byOthers.push(prefix)
      continue
    }
    blocks.push(entryText({ prefix, table: { ...table, prefix, location }, mirror, insecure: isInsecure }))
    if (entry !== undefined) replaced.add(entry.file)
  }
  return {
    text: blocks.length === 0 ? '' : withMarkers(blocks.join('\n')),
    replaced: [...replaced],
    notes,
    byOthers,
  }
}

function entryText({
  prefix,
  table,
  mirror,
  insecure,
}: {
  prefix: string
  table: Table
  mirror: string
  insecure: boolean
}): string {
  const { prefix: _prefix, location, mirror: _mirror, ...rest } = table
  // Plain HTTP is used only with this setting.
  const agent = { location: mirror, ...(insecure ? { insecure: true } : {}) }
  return [
    `[[registry]]\n${line('prefix', prefix)}${line('location', location)}${lines(rest)}`,
    ...[agent, ...mirrorsOf(table)].map((each) => `\n[[registry.mirror]]\n${lines(each)}`),
  ].join('')
}

function lines(table: Table): string {
  return Object.entries(table)
    .map(([key, value]) => line(key, value))
    .join('')
}

/** The values in these tables are strings, booleans and lists of strings. */
function line(key: string, value: unknown): string {
  const name = /^[\w-]+$/.test(key) ? key : tomlString(key)
  if (typeof value === 'string') return `${name} = ${tomlString(value)}\n`
  if (typeof value === 'boolean' || typeof value === 'number') return `${name} = ${value}\n`
  if (Array.isArray(value)) return `${name} = [${strings(value).map(tomlString).join(', ')}]\n`
  throw new RuntimeFailure(
    `a [[registry]] has a value of ${key} that cannot be copied; exclude that registry with --only`,
  )
}

function entriesOf(documents: readonly { name: string; table: Table }[]): Map<string, Entry> {
  const entries = new Map<string, Entry>()
  for (const { name, table } of documents) {
    for (const registry of [...version1Registries(table), ...tables(table['registry'])]) {
      const prefix = registry['prefix'] ?? registry['location']
      if (typeof prefix === 'string' && prefix !== '')
        entries.set(prefix, { prefix, table: registry, file: name })
    }
  }
  return entries
}

/** Version 1 of the format has `[registries.insecure]` and `[registries.block]`. */
function version1Registries(table: Table): readonly Table[] {
  const old = (kind: string): readonly string[] => strings(tableAt(table, 'registries', kind)?.['registries'])
  return [
    ...old('insecure').map((location) => ({ location, insecure: true })),
    ...old('block').map((location) => ({ location, blocked: true })),
  ]
}

/** The registries in which names without a registry are searched. */
function searchRegistries(table: Table): readonly string[] {
  const old = tableAt(table, 'registries', 'search')?.['registries']
  return strings(table['unqualified-search-registries'] ?? old)
}

function isCovered(prefix: string, entries: ReadonlyMap<string, Entry>): boolean {
  return [...entries.keys()].some(
    (other) => other.startsWith('*.') && hostOf(prefix).endsWith(other.slice(1)),
  )
}

function hostOf(prefix: string): string {
  return prefix.split('/')[0] ?? prefix
}

/** The path of a location at the agent; undefined if it has none. A path has no colon. */
function pathOf(location: string): string | undefined {
  const [host = '', ...rest] = location.split('/')
  const path = [registryInPath(host), ...rest].join('/')
  return /^[a-z0-9._/-]+$/.test(path) ? path : undefined
}

function mirrorsOf(table: Table): readonly Table[] {
  return tables(table['mirror'])
}

function tables(value: unknown): readonly Table[] {
  return Array.isArray(value) ? value.filter(isTable) : []
}
