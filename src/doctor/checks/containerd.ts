import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { plain } from '../../observe/text.ts'
import { RuntimeFailure } from '../../runtimes/files/failure.ts'
import { isTable, readToml, type Table, tableAt } from '../../runtimes/files/toml.ts'
import { askProgram, type Told } from '../tools/ask-program.ts'
import { type Finding, notLookedAt, ok, problem, warning } from '../tools/finding.ts'

const SOCKET = '/run/containerd/containerd.sock'
/** The plugin that pulls for Kubernetes: 2.x, 1.x, and 1.x with a configuration of version 1. */
const PULLING = ['io.containerd.cri.v1.images', 'io.containerd.grpc.v1.cri', 'cri']

export interface ContainerdSeen {
  /** Of `containerd config dump`: its configuration with all that it imports and all defaults. */
  readonly dump: Told
  /** When its configuration was changed last, and when it was started; undefined where that cannot be seen. */
  readonly changedAt: number | undefined
  readonly startedAt: number | undefined
}

export async function seeContainerd(
  config: string,
  { root, signal }: { root: string; signal: AbortSignal },
): Promise<ContainerdSeen> {
  const [dump, changedAt, startedAt] = await Promise.all([
    // The one of another root would read the files of this one.
    root === '/'
      ? askProgram('containerd', ['--config', config, 'config', 'dump'], { signal })
      : ({ kind: 'absent' } as const),
    modifiedAt(join(root, config)),
    // It makes its socket when it starts.
    modifiedAt(join(root, SOCKET)),
  ])
  return { dump, changedAt, startedAt }
}

async function modifiedAt(path: string): Promise<number | undefined> {
  return await stat(path).then(
    ({ mtimeMs }) => mtimeMs,
    () => undefined,
  )
}

export function judgeContainerd(seen: ContainerdSeen, { config }: { config: string }): readonly Finding[] {
  return [...judgeDump(seen.dump, config), ...judgeStart(seen, config)]
}

function judgeDump(dump: Told, config: string): readonly Finding[] {
  if (dump.kind === 'absent') return []
  if (dump.kind === 'failed') {
    return [
      notLookedAt(
        `containerd does not say what its configuration comes to: ${plain(dump.why)}`,
        `containerd --config ${config} config dump`,
      ),
    ]
  }
  try {
    return [judgeTable(readToml(dump.text, 'containerd config dump'), config)]
  } catch (error) {
    if (!(error instanceof RuntimeFailure)) throw error
    return [notLookedAt(error.message)]
  }
}

function judgeTable(table: Table, config: string): Finding {
  const name = PULLING.find((one) => tableAt(table, 'plugins', one) !== undefined)
  if (name === undefined) return notLookedAt('containerd has no CRI plugin: Kubernetes does not pull with it')
  const plugin = tableAt(table, 'plugins', name)
  const path = tableAt(plugin, 'registry')?.['config_path']
  const folders = typeof path === 'string' ? path.split(':').filter((folder) => folder !== '') : []
  const section = `[plugins.${JSON.stringify(name)}.registry]`
  if (folders.length === 0) {
    const elsewhere = otherSection(table, name)
    const found =
      elsewhere === undefined
        ? 'containerd itself says that it has no config_path'
        : `containerd has a config_path under [plugins.${JSON.stringify(elsewhere)}], which does not pull for Kubernetes`
    return problem(found, {
      means: 'no hosts.toml is read: every pull goes to the registry itself, without a word',
      todo: `set config_path = "/etc/containerd/certs.d" under ${section} in ${config} (agent runtime install --write-config does), and restart containerd`,
    })
  }
  const isLocal = plugin?.['use_local_image_pull'] === true || plugin?.['discard_unpacked_layers'] === true
  if (folders.length > 1 && isSince2(table) && !isLocal) {
    return problem(`containerd itself says that it has ${folders.length} folders in config_path (${path})`, {
      means:
        'from 2.1 on its transfer service takes them for the name of one, and ignores every mirror without a word',
      todo: `name one folder in config_path under ${section} in ${config} (agent runtime install --write-config does), and restart containerd`,
    })
  }
  return ok(`containerd itself says that it looks for mirrors in ${plain(folders.join(' and '))}`)
}

function isSince2(table: Table): boolean {
  const version = table['version']
  return typeof version === 'number' && version >= 3
}

/** Another plugin that has one, such as the transfer service or the plugin of another version. */
function otherSection(table: Table, pulling: string): string | undefined {
  const plugins = tableAt(table, 'plugins') ?? {}
  return Object.keys(plugins).find((name) => {
    const plugin = plugins[name]
    if (name === pulling || !isTable(plugin)) return false
    return [plugin, tableAt(plugin, 'registry')].some((one) => isPath(one?.['config_path']))
  })
}

function isPath(value: unknown): boolean {
  return typeof value === 'string' && value !== ''
}

function judgeStart({ changedAt, startedAt }: ContainerdSeen, config: string): readonly Finding[] {
  if (changedAt === undefined || startedAt === undefined || changedAt <= startedAt) return []
  return [
    warning(`${config} was changed after containerd was started`, {
      means: 'containerd does not know of the change yet',
      todo: 'systemctl restart containerd',
    }),
  ]
}
