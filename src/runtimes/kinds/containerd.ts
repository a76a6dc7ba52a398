import { parseRegistryHost } from '../../oci/names/registry-host.ts'
import { RuntimeFailure } from '../files/failure.ts'
import type { Kind } from '../files/kind.ts'
import { type Edit, type Plan, urlOf, type Wanted } from '../files/plan.ts'
import type { Present } from '../files/present.ts'
import { readToml } from '../files/toml.ts'
import { caEdits, caPath, trustNotes } from './certificates.ts'
import {
  type ContainerdConfig,
  readContainerdConfig,
  shown,
  USUAL_FOLDER,
  withConfigPath,
} from './containerd-config.ts'
import { cutOurs } from './cut-ours.ts'
import { certificatesIn, withMirror } from './hosts-toml.ts'

const ALL = '_default'

export const containerd: Kind = {
  runtime: 'containerd',
  name: 'containerd',
  signs: ({ containerdConfig }) => [
    '/etc/containerd',
    '/usr/bin/containerd',
    '/usr/local/bin/containerd',
    containerdConfig,
  ],

  async plan(wanted, present) {
    const config = await readContainerdConfig(wanted.containerdConfig, present)
    const own = await ownConfig(config, wanted, present)
    const folders = own.folders ?? config.folders ?? [USUAL_FOLDER]
    const hosts = await hostEdits(folders, wanted, present)
    const todo = [...own.todo, ...hosts.todo]
    const edits = [...own.edits, ...(await caEdits(caFolder(folders), wanted, present)), ...hosts.edits]
    return { edits, todo, notes: [...own.notes, ...hosts.notes, ...trustNotes(wanted)] }
  },

  async places(wanted, present) {
    const config = await readContainerdConfig(wanted.containerdConfig, present)
    const places = [config.file, wanted.containerdConfig]
    for (const folder of new Set([...(config.folders ?? []), USUAL_FOLDER])) {
      places.push(caPath(folder))
      for (const name of await present.files.folders(folder)) places.push(`${folder}/${name}/hosts.toml`)
    }
    return places
  },

  cut: cutOurs,

  async followUp(changed) {
    return changed.some(isOwnConfig)
      ? 'restart containerd for the change of its own configuration: systemctl restart containerd'
      : undefined
  },
}

/** Whether a file of ours is containerd's own configuration, and none of those that are read at every pull. */
export function isOwnConfig(path: string): boolean {
  return !path.endsWith('/hosts.toml') && !path.endsWith('.crt')
}

/** What has to be so in containerd's own configuration, which decides whether any mirror is looked for at all. */
async function ownConfig(
  config: ContainerdConfig,
  wanted: Wanted,
  present: Present,
): Promise<Plan & { readonly folders?: readonly string[] }> {
  const { folders, fileVersion } = config
  if (folders === undefined) return await missingPath(config, wanted, present)
  if (folders.length === 1 || config.pullsLocally) return { edits: [], todo: [], notes: [] }
  const used = await inUse(folders, present)
  const only = used[0] ?? folders[0] ?? USUAL_FOLDER
  if (wanted.writeConfig && used.length <= 1) {
    return { edits: [await configEdit(config, only, present)], todo: [], notes: [], folders: [only] }
  }
  const trap = `config_path in ${config.file} names ${folders.length} folders, which containerd 2.1 and later take for the name of one, and then ignore every mirror without a word`
  const way =
    used.length > 1
      ? `move all that is in them into one, set ${shown(fileVersion, only)}, restart containerd, and run this again`
      : `set ${shown(fileVersion, only)}, or let --write-config do it, and restart containerd`
  return config.version >= 3
    ? { edits: [], todo: [`${trap}: ${way}`], notes: [] }
    : { edits: [], todo: [], notes: [`${trap}: before an upgrade to it ${way}`] }
}

async function missingPath(config: ContainerdConfig, wanted: Wanted, present: Present): Promise<Plan> {
  if (config.isCriOff) {
    const note = `the CRI plugin is disabled in ${config.file}, so config_path is not needed: nerdctl looks into ${USUAL_FOLDER} by itself, ctr with --hosts-dir ${USUAL_FOLDER}`
    return { edits: [], todo: [], notes: [note] }
  }
  const wish = shown(config.fileVersion, USUAL_FOLDER)
  if (config.conflict !== undefined) {
    const todo = `${config.file} sets ${config.conflict}, besides which containerd refuses config_path: move what it says into hosts.toml files below ${USUAL_FOLDER}, then set ${wish} and restart containerd`
    return { edits: [], todo: [todo], notes: [] }
  }
  if (wanted.writeConfig) {
    return { edits: [await configEdit(config, USUAL_FOLDER, present)], todo: [], notes: [] }
  }
  const why = config.misplaced ?? `config_path is not set in ${config.file}`
  const todo = `${why}, so containerd does not look for mirrors (2.x may look into a list of folders, and not find them): set ${wish}, or let --write-config do it, and restart containerd`
  return { edits: [], todo: [todo], notes: [] }
}

async function configEdit(config: ContainerdConfig, folder: string, present: Present): Promise<Edit> {
  return { path: config.file, text: withConfigPath(await present.text(config.file), config, folder) }
}

/** Folders that hold something of others. */
async function inUse(folders: readonly string[], present: Present): Promise<readonly string[]> {
  const used: string[] = []
  for (const folder of folders) {
    for (const name of await present.files.folders(folder)) {
      if ((await foreign(`${folder}/${name}`, present)) && !used.includes(folder)) used.push(folder)
    }
  }
  return used
}

/** Whether the folder of a host would be there without us. */
async function foreign(folder: string, present: Present): Promise<boolean> {
  const names = await present.files.names(folder)
  if (names.some((name) => name !== 'hosts.toml')) return true
  if (!names.includes('hosts.toml')) return !present.isOurs(folder)
  return (await present.bytes(`${folder}/hosts.toml`)) !== undefined || !present.isOurs(folder)
}

/**
 * containerd takes the first of `<folder>/<host>` and `<folder>/_default` that exists, folder by folder, and nothing
 * besides. So one mirror for all takes a `_default` where it hides nobody's host, and a place in each of those.
 */
async function hostEdits(folders: readonly string[], wanted: Wanted, present: Present): Promise<Plan> {
  const edits: Edit[] = []
  const todo: string[] = []
  const places =
    wanted.registries === undefined
      ? await placesForAll(folders, present)
      : await placesFor(wanted.registries, folders, present)
  const notes: string[] = []
  for (const place of places) {
    try {
      edits.push(await hostsEdit(place, folders, wanted, present))
      const note = await elsewhere(place, present)
      if (note !== undefined) notes.push(note)
    } catch (error) {
      // containerd itself skips a file that it cannot read; the other registries need not wait for it.
      if (!(error instanceof RuntimeFailure)) throw error
      todo.push(error.message)
    }
  }
  return { edits, todo, notes }
}

async function placesForAll(folders: readonly string[], present: Present): Promise<readonly string[]> {
  const places: string[] = []
  for (const folder of folders) {
    let ends = false
    for (const name of await present.files.folders(folder)) {
      const place = `${folder}/${name}`
      if (!(await foreign(place, present))) continue
      places.push(place)
      ends ||= name === ALL
    }
    // What lies in folders behind a `_default` is never looked at.
    if (ends) return places
  }
  return [...places, `${folders.at(-1) ?? USUAL_FOLDER}/${ALL}`]
}

async function placesFor(
  registries: readonly string[],
  folders: readonly string[],
  present: Present,
): Promise<readonly string[]> {
  const places: string[] = []
  for (const registry of registries) {
    const found = await firstForeign(folders, hostFolders(registry), present)
    if (found?.endsWith(`/${ALL}`) === true) {
      throw new RuntimeFailure(
        `${found} is what containerd uses for ${registry} now, and a folder of its own would hide it; leave --registry out to add the mirror there`,
      )
    }
    places.push(found ?? `${folders.at(-1) ?? USUAL_FOLDER}/${hostFolders(registry)[0]}`)
  }
  return places
}

async function firstForeign(
  folders: readonly string[],
  names: readonly string[],
  present: Present,
): Promise<string | undefined> {
  for (const folder of folders) {
    const there = await present.files.folders(folder)
    for (const name of [...names, ALL].filter((one) => there.includes(one))) {
      if (await foreign(`${folder}/${name}`, present)) return `${folder}/${name}`
    }
  }
  return undefined
}

/** In the order in which containerd tries them. */
function hostFolders(registry: string): readonly string[] {
  const withPort = registry.replace(/:(\d+)$/, '_$1_')
  return withPort === registry ? [registry] : [withPort, registry]
}

async function hostsEdit(
  place: string,
  folders: readonly string[],
  wanted: Wanted,
  present: Present,
): Promise<Edit> {
  const path = `${place}/hosts.toml`
  const certificates = certificatesIn(await present.files.names(place))
  const ca = wanted.tls?.ca === undefined ? undefined : caPath(caFolder(folders))
  return { path, text: withMirror(await present.text(path), urlOf(wanted), { path, certificates, ca }) }
}

/** Beside the folders of the hosts: within one of them it would count as a certificate of that host. */
function caFolder(folders: readonly string[]): string {
  return folders.at(-1) ?? USUAL_FOLDER
}

/** The agent asks the registry that the image names; who has sent containerd elsewhere may want to tell the agent. */
async function elsewhere(place: string, present: Present): Promise<string | undefined> {
  const path = `${place}/hosts.toml`
  const text = await present.text(path)
  const server = text === undefined ? undefined : readToml(text, path)['server']
  if (typeof server !== 'string' || place.endsWith(`/${ALL}`)) return undefined
  const host = place.slice(place.lastIndexOf('/') + 1).replace(/_(\d+)_$/, ':$1')
  const asked = server.replace(/^https?:\/\//, '').replace(/\/.*$/, '')
  if (parseRegistryHost(asked) === parseRegistryHost(host)) return undefined
  return `${path} has ${JSON.stringify(server)} as the server for ${host}; the agent asks ${host} itself unless its configuration names that host under upstreams`
}
