import { registryInPath } from '../../oci/names/registry-host.ts'
import { RuntimeFailure } from '../files/failure.ts'
import { marked } from '../files/marks.ts'
import { isTable, quoted, readToml, strings, type Table, tableAt } from '../files/toml.ts'

/** The settings that podman, CRI-O, skopeo and buildah share (containers-registries.conf(5)). */

/** Public registries that images are pulled from; there is no way to say "all" in these files. */
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
]

/** What others have written, in the order in which later files win. */
export interface RegistryFile {
  readonly name: string
  readonly text: string
}

/** A `[[registry]]` that is in force, and the file that it is from. */
interface Entry {
  readonly prefix: string
  readonly table: Table
  readonly file: string
}

export interface Mirrored {
  /** Empty when there is nothing to say. */
  readonly text: string
  /** Files, besides ours, whose entries ours must replace. */
  readonly replaced: readonly string[]
  readonly notes: readonly string[]
  /** Prefixes that others have given this mirror already. */
  readonly standing: readonly string[]
}

/**
 * Our file. A later file's entry replaces an earlier one's for the same prefix as a whole, so each of ours says all that
 * the one before it said, with the agent put first among its mirrors.
 */
export function mirrorsFor(
  files: readonly RegistryFile[],
  {
    address,
    isInsecure,
    registries,
  }: { address: string; isInsecure: boolean; registries: readonly string[] | undefined },
): Mirrored {
  const documents = files.map(({ name, text }) => ({ name, table: readToml(text, name) }))
  const entries = entriesOf(documents)
  const named = registries ?? [...WELL_KNOWN, ...documents.flatMap(({ table }) => searched(table))]
  const prefixes = new Set(named.filter((prefix) => entries.has(prefix) || !isCovered(prefix, entries)))
  for (const prefix of entries.keys()) {
    if (registries === undefined || registries.includes(hostOf(prefix))) prefixes.add(prefix)
  }
  const blocks: string[] = []
  const replaced = new Set<string>()
  const notes: string[] = []
  const standing: string[] = []
  for (const prefix of prefixes) {
    const entry = entries.get(prefix)
    const table = entry?.table ?? { prefix }
    if (table['blocked'] === true) continue
    const location = typeof table['location'] === 'string' ? table['location'] : prefix
    const path = pathOf(location)
    if (prefix.startsWith('*.') || path === undefined) {
      notes.push(
        `${prefix} has no mirror: its images have no one place in the agent; name its registries one by one`,
      )
      continue
    }
    const mirror = `${address}/${path}`
    if (mirrorsOf(table).some((one) => one['location'] === mirror)) {
      standing.push(prefix)
      continue
    }
    blocks.push(entryText({ prefix, table: { ...table, prefix, location }, mirror, insecure: isInsecure }))
    if (entry !== undefined) replaced.add(entry.file)
  }
  return {
    text: blocks.length === 0 ? '' : marked(blocks.join('\n')),
    replaced: [...replaced],
    notes,
    standing,
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
  // Plain HTTP is tried only where this is said.
  const ours = { location: mirror, ...(insecure ? { insecure: true } : {}) }
  return [
    `[[registry]]\n${line('prefix', prefix)}${line('location', location)}${lines(rest)}`,
    ...[ours, ...mirrorsOf(table)].map((one) => `\n[[registry.mirror]]\n${lines(one)}`),
  ].join('')
}

function lines(table: Table): string {
  return Object.entries(table)
    .map(([key, value]) => line(key, value))
    .join('')
}

/** All that these tables hold are texts, yes or no, and lists of texts. */
function line(key: string, value: unknown): string {
  const name = /^[\w-]+$/.test(key) ? key : quoted(key)
  if (typeof value === 'string') return `${name} = ${quoted(value)}\n`
  if (typeof value === 'boolean' || typeof value === 'number') return `${name} = ${value}\n`
  if (Array.isArray(value)) return `${name} = [${strings(value).map(quoted).join(', ')}]\n`
  throw new RuntimeFailure(
    `a [[registry]] sets ${key} to something that cannot be copied; leave that registry out with --registry`,
  )
}

function entriesOf(documents: readonly { name: string; table: Table }[]): Map<string, Entry> {
  const entries = new Map<string, Entry>()
  for (const { name, table } of documents) {
    for (const registry of [...ofVersion1(table), ...tables(table['registry'])]) {
      const prefix = registry['prefix'] ?? registry['location']
      if (typeof prefix === 'string' && prefix !== '')
        entries.set(prefix, { prefix, table: registry, file: name })
    }
  }
  return entries
}

/** The old form, `[registries.insecure]` and `[registries.block]`. */
function ofVersion1(table: Table): readonly Table[] {
  const old = (kind: string): readonly string[] => strings(tableAt(table, 'registries', kind)?.['registries'])
  return [
    ...old('insecure').map((location) => ({ location, insecure: true })),
    ...old('block').map((location) => ({ location, blocked: true })),
  ]
}

/** Where names without a registry are looked for. */
function searched(table: Table): readonly string[] {
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

/** A location as a path behind the agent's address; a colon is not allowed there. */
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
