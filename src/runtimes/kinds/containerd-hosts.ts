import { parseRegistryHost } from '../../oci/names/registry-host.ts'
import { RuntimeFailure } from '../files/failure.ts'
import type { OriginalFiles } from '../files/original-files.ts'
import { type Edit, type MirrorSettings, type Plan, urlOf } from '../files/plan.ts'
import { readToml } from '../files/toml.ts'
import { CA_NAME, caPath } from './certificates.ts'
import { DEFAULT_FOLDER } from './containerd-config.ts'
import { certificatesIn, withMirror } from './hosts-toml.ts'

/** The host folder that containerd uses for registries without a host folder of their own. */
const DEFAULT_HOST = '_default'

/** Where containerd looks for host folders. */
interface HostFolders {
  /** In the order in which containerd asks them. */
  readonly folders: readonly string[]
  /** The one of them that gets new host folders. */
  readonly target: string
}

/**
 * Plans the hosts.toml files. containerd takes the first of `<folder>/<host>` and `<folder>/_default` that exists, folder
 * by folder, and no other. So a mirror for all registries needs a `_default` behind all host folders, and an entry in
 * each of those.
 */
export async function planHosts(
  places: HostFolders,
  mirror: MirrorSettings,
  originals: OriginalFiles,
): Promise<Plan> {
  const edits: Edit[] = []
  const todo: string[] = []
  const notes: string[] = []
  const hostFolders =
    mirror.only === undefined
      ? await hostFoldersForAll(places, originals)
      : await hostFoldersFor(mirror.only, places, originals)
  for (const hostFolder of hostFolders) {
    try {
      edits.push(await hostsEdit(hostFolder, places.target, mirror, originals))
      const note = await otherServerNote(hostFolder, originals)
      if (note !== undefined) notes.push(note)
    } catch (error) {
      // containerd itself skips a file that it cannot read, so the other registries are still planned.
      if (!(error instanceof RuntimeFailure)) throw error
      todo.push(error.message)
    }
  }
  return { edits, todo, notes }
}

/** The folders that contain host folders of others. */
export async function foldersInUse(
  folders: readonly string[],
  originals: OriginalFiles,
): Promise<readonly string[]> {
  const used: string[] = []
  for (const folder of folders) {
    for (const name of await originals.files.folders(folder)) {
      if ((await isOfOthers(`${folder}/${name}`, originals)) && !used.includes(folder)) used.push(folder)
    }
  }
  return used
}

/**
 * The folder for new host folders and for the CA, which is beside them: inside one it would count as a certificate of that
 * host. It is not before a folder that others use, because a `_default` in it would hide those, and it can be written if
 * there is such a folder.
 */
export async function folderForNew(folders: readonly string[], originals: OriginalFiles): Promise<string> {
  const lastUsed = (await foldersInUse(folders, originals)).at(-1)
  const candidates = lastUsed === undefined ? folders : folders.slice(folders.indexOf(lastUsed))
  for (const folder of candidates) if (await originals.files.canWriteIn(folder)) return folder
  return candidates[0] ?? DEFAULT_FOLDER
}

/** Whether the host folder would exist without an install. */
async function isOfOthers(hostFolder: string, originals: OriginalFiles): Promise<boolean> {
  const names = (await originals.files.names(hostFolder)).filter((name) => name !== CA_NAME)
  if (names.some((name) => name !== 'hosts.toml')) return true
  if (!names.includes('hosts.toml')) return !originals.isOwnFolder(hostFolder)
  return (
    (await originals.bytes(`${hostFolder}/hosts.toml`)) !== undefined || !originals.isOwnFolder(hostFolder)
  )
}

async function hostFoldersForAll(
  { folders, target }: HostFolders,
  originals: OriginalFiles,
): Promise<readonly string[]> {
  const hostFolders: string[] = []
  for (const folder of folders) {
    let hasDefault = false
    for (const name of await originals.files.folders(folder)) {
      const hostFolder = `${folder}/${name}`
      if (!(await isOfOthers(hostFolder, originals))) continue
      hostFolders.push(hostFolder)
      hasDefault ||= name === DEFAULT_HOST
    }
    // containerd never reads the folders behind one with a `_default`.
    if (hasDefault) return hostFolders
  }
  return [...hostFolders, `${target}/${DEFAULT_HOST}`]
}

async function hostFoldersFor(
  registries: readonly string[],
  { folders, target }: HostFolders,
  originals: OriginalFiles,
): Promise<readonly string[]> {
  const hostFolders: string[] = []
  for (const registry of registries) {
    const found = await firstOfOthers(folders, hostNames(registry), originals)
    if (found?.endsWith(`/${DEFAULT_HOST}`) === true) {
      throw new RuntimeFailure(
        `containerd uses ${found} for ${registry} now, and a folder for ${registry} would hide it; leave out --only to add the mirror to ${found}`,
      )
    }
    hostFolders.push(found ?? `${target}/${hostNames(registry)[0]}`)
  }
  return hostFolders
}

async function firstOfOthers(
  folders: readonly string[],
  names: readonly string[],
  originals: OriginalFiles,
): Promise<string | undefined> {
  for (const folder of folders) {
    const existing = await originals.files.folders(folder)
    for (const name of [...names, DEFAULT_HOST].filter((each) => existing.includes(each))) {
      if (await isOfOthers(`${folder}/${name}`, originals)) return `${folder}/${name}`
    }
  }
  return undefined
}

/** The names of the host folder of a registry, in the order in which containerd tries them. */
function hostNames(registry: string): readonly string[] {
  const withPort = registry.replace(/:(\d+)$/, '_$1_')
  return withPort === registry ? [registry] : [withPort, registry]
}

async function hostsEdit(
  hostFolder: string,
  caFolder: string,
  mirror: MirrorSettings,
  originals: OriginalFiles,
): Promise<Edit> {
  const path = `${hostFolder}/hosts.toml`
  const certificates = certificatesIn(await originals.files.names(hostFolder))
  const ca = mirror.tls?.ca === undefined ? undefined : caPath(caFolder)
  return { path, text: withMirror(await originals.text(path), urlOf(mirror), { path, certificates, ca }) }
}

/** The agent asks the registry that the image names. If containerd has another server for it, the agent needs it too. */
async function otherServerNote(hostFolder: string, originals: OriginalFiles): Promise<string | undefined> {
  const path = `${hostFolder}/hosts.toml`
  const text = await originals.text(path)
  const server = text === undefined ? undefined : readToml(text, path)['server']
  if (typeof server !== 'string' || hostFolder.endsWith(`/${DEFAULT_HOST}`)) return undefined
  const host = hostFolder.slice(hostFolder.lastIndexOf('/') + 1).replace(/_(\d+)_$/, ':$1')
  const serverHost = server.replace(/^https?:\/\//, '').replace(/\/.*$/, '')
  if (parseRegistryHost(serverHost) === parseRegistryHost(host)) return undefined
  return `${path} has ${JSON.stringify(server)} as the server for ${host}; the agent asks ${host} itself, unless its configuration names that server under upstreams`
}
