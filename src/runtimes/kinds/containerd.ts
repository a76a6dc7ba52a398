import type { OriginalFiles } from '../files/original-files.ts'
import type { Edit, MirrorSettings, Plan } from '../files/plan.ts'
import type { RuntimeKind } from '../files/runtime-kind.ts'
import { caEdits, caPath, trustNotes } from './certificates.ts'
import {
  type ContainerdConfig,
  configPathText,
  DEFAULT_FOLDER,
  readContainerdConfig,
  withConfigPath,
} from './containerd-config.ts'
import { folderForNew, foldersInUse, planHosts } from './containerd-hosts.ts'
import { removeMarkedPart } from './remove-marked-part.ts'

export const containerd: RuntimeKind = {
  runtime: 'containerd',
  name: 'containerd',
  detectionPaths: ({ containerdConfig }) => [
    '/etc/containerd',
    '/usr/bin/containerd',
    '/usr/local/bin/containerd',
    containerdConfig,
  ],

  async plan(mirror, originals) {
    const config = await readContainerdConfig(mirror.containerdConfig, originals)
    const own = await planOwnConfig(config, mirror, originals)
    const folders = own.folders ?? config.folders ?? [DEFAULT_FOLDER]
    const target = await folderForNew(folders, originals)
    const hosts = await planHosts({ folders, target }, mirror, originals)
    const todo = [...own.todo, ...hosts.todo]
    const edits = [...own.edits, ...(await caEdits(target, mirror, originals)), ...hosts.edits]
    return { edits, todo, notes: [...own.notes, ...hosts.notes, ...trustNotes(mirror)] }
  },

  async candidatePaths(mirror, originals) {
    const config = await readContainerdConfig(mirror.containerdConfig, originals)
    const paths = [config.file, mirror.containerdConfig]
    for (const folder of new Set([...(config.folders ?? []), DEFAULT_FOLDER])) {
      paths.push(caPath(folder))
      for (const name of await originals.files.folders(folder)) paths.push(`${folder}/${name}/hosts.toml`)
    }
    return paths
  },

  removeOwnPart: removeMarkedPart,

  async followUp(changed) {
    return changed.some(isOwnConfig)
      ? 'restart containerd, whose own configuration was changed: systemctl restart containerd'
      : undefined
  },
}

/** Whether a written file is containerd's own configuration. The other files are read at every pull. */
export function isOwnConfig(path: string): boolean {
  return !path.endsWith('/hosts.toml') && !path.endsWith('.crt')
}

/** Plans the change of containerd's own configuration, which decides whether containerd reads any mirror. */
async function planOwnConfig(
  config: ContainerdConfig,
  mirror: MirrorSettings,
  originals: OriginalFiles,
): Promise<Plan & { readonly folders?: readonly string[] }> {
  const { folders, fileVersion } = config
  if (folders === undefined) return await planConfigPath(config, mirror, originals)
  if (!config.isList) return { edits: [], todo: [], notes: [] }
  const used = await foldersInUse(folders, originals)
  const folder = used[0] ?? folders[0] ?? DEFAULT_FOLDER
  if (mirror.writeConfig && used.length <= 1) {
    return { edits: [await configEdit(config, folder, originals)], todo: [], notes: [], folders: [folder] }
  }
  if (config.localPullSetting !== undefined) return { edits: [], todo: [], notes: [] }
  const trap = `config_path in ${config.file} is a list of folders, which containerd 2.1 and later take for the name of one folder, so that they ignore every mirror without an error`
  const action =
    used.length > 1
      ? `move their content into one folder, set ${configPathText(fileVersion, folder)}, restart containerd, and run this command again`
      : `set ${configPathText(fileVersion, folder)} (--write-config does this), and restart containerd`
  return config.version >= 3
    ? { edits: [], todo: [`${trap}: ${action}`], notes: [] }
    : { edits: [], todo: [], notes: [`${trap}: before an upgrade, ${action}`] }
}

async function planConfigPath(
  config: ContainerdConfig,
  mirror: MirrorSettings,
  originals: OriginalFiles,
): Promise<Plan> {
  if (config.isCriOff) {
    const note = `the CRI plugin is disabled in ${config.file}, so config_path is not needed: nerdctl reads ${DEFAULT_FOLDER} by itself, ctr with --hosts-dir ${DEFAULT_FOLDER}`
    return { edits: [], todo: [], notes: [note] }
  }
  const setting = configPathText(config.fileVersion, DEFAULT_FOLDER)
  if (config.conflict !== undefined) {
    const todo = `${config.file} sets ${config.conflict}, and containerd rejects config_path beside it: move that setting into hosts.toml files below ${DEFAULT_FOLDER}, then set ${setting} and restart containerd`
    return { edits: [], todo: [todo], notes: [] }
  }
  if (mirror.writeConfig) {
    return { edits: [await configEdit(config, DEFAULT_FOLDER, originals)], todo: [], notes: [] }
  }
  const why = config.misplaced ?? `config_path is not set in ${config.file}`
  const todo = `${why}, so containerd does not look for mirrors (the default of 2.x is a list of folders, which may not work): set ${setting} (--write-config does this), and restart containerd`
  return { edits: [], todo: [todo], notes: [] }
}

async function configEdit(config: ContainerdConfig, folder: string, originals: OriginalFiles): Promise<Edit> {
  return { path: config.file, text: withConfigPath(await originals.text(config.file), config, folder) }
}
