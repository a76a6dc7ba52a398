import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { plain } from '../../../observe/text.ts'
import { RuntimeFailure } from '../../../runtimes/files/failure.ts'
import { isTable, readToml, type Table, tableAt } from '../../../runtimes/files/toml.ts'
import { localPullSettingIn } from '../../../runtimes/kinds/containerd-config.ts'
import { type Finding, notChecked, ok, problem, warning } from '../../tools/finding.ts'
import { type ProgramResult, runProgram } from '../../tools/run-program.ts'

const SOCKET = '/run/containerd/containerd.sock'
/** The CRI plugin, which pulls for Kubernetes: of 2.x, of 1.x, and of 1.x with a configuration of version 1. */
const CRI_PLUGINS = ['io.containerd.cri.v1.images', 'io.containerd.grpc.v1.cri', 'cri']

export interface ContainerdState {
  /** The output of `containerd config dump`: the effective configuration, with imports and defaults. */
  readonly dump: ProgramResult
  /** The times of the last change of the configuration and of the start; undefined if they are not readable. */
  readonly changedAt: number | undefined
  readonly startedAt: number | undefined
}

export async function inspectContainerd(
  config: string,
  { root, signal }: { root: string; signal: AbortSignal },
): Promise<ContainerdState> {
  const [dump, changedAt, startedAt] = await Promise.all([
    // For another root, `containerd` would read the files of this one.
    root === '/'
      ? runProgram('containerd', ['--config', config, 'config', 'dump'], { signal })
      : ({ kind: 'absent' } as const),
    modifiedAt(join(root, config)),
    // containerd creates its socket when it starts.
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

export function judgeContainerd(state: ContainerdState, { config }: { config: string }): readonly Finding[] {
  return [...judgeDump(state.dump, config), ...judgeStart(state, config)]
}

function judgeDump(dump: ProgramResult, config: string): readonly Finding[] {
  if (dump.kind === 'absent') return []
  if (dump.kind === 'failed') {
    return [
      notChecked(
        'containerd-unknown',
        `containerd does not print its effective configuration: ${plain(dump.why)}`,
        `run containerd --config ${config} config dump`,
      ),
    ]
  }
  try {
    return [judgeTable(readToml(dump.text, 'containerd config dump'), config)]
  } catch (error) {
    if (!(error instanceof RuntimeFailure)) throw error
    return [notChecked('containerd-unknown', error.message)]
  }
}

function judgeTable(table: Table, config: string): Finding {
  const name = CRI_PLUGINS.find((plugin) => tableAt(table, 'plugins', plugin) !== undefined)
  if (name === undefined)
    return notChecked(
      'containerd-without-cri',
      'containerd has no CRI plugin, so Kubernetes does not pull with it',
    )
  const plugin = tableAt(table, 'plugins', name)
  const path = tableAt(plugin, 'registry')?.['config_path']
  const folders = typeof path === 'string' ? path.split(':').filter((folder) => folder !== '') : []
  const section = `[plugins.${JSON.stringify(name)}.registry]`
  if (folders.length === 0) {
    const other = otherSection(table, name)
    const found =
      other === undefined
        ? 'the effective configuration of containerd has no config_path'
        : `containerd has a config_path under [plugins.${JSON.stringify(other)}], which is not the plugin that pulls for Kubernetes`
    return problem('containerd-no-config-path', found, {
      means: 'containerd reads no hosts.toml: every pull goes directly to the registry, without an error',
      todo: `set config_path = "/etc/containerd/certs.d" under ${section} in ${config} (agent runtime install --write-config does this), and restart containerd`,
    })
  }
  const isList = typeof path === 'string' && path.includes(':')
  if (isList && isSince2(table) && localPullSettingIn(plugin ?? {}) === undefined) {
    return problem(
      'containerd-config-path-list',
      `the effective configuration of containerd has a list of folders in config_path (${plain(path)})`,
      {
        means:
          'the transfer service of containerd 2.1 and later takes it for the name of one folder, and ignores every mirror without an error',
        todo: `name one folder in config_path under ${section} in ${config} (agent runtime install --write-config does this), and restart containerd`,
      },
    )
  }
  return ok('containerd-looks-for-mirrors', `containerd looks for mirrors in ${plain(folders.join(' and '))}`)
}

function isSince2(table: Table): boolean {
  const version = table['version']
  return typeof version === 'number' && version >= 3
}

/** Another plugin with a config_path, such as the transfer service or the CRI plugin of another version. */
function otherSection(table: Table, criPlugin: string): string | undefined {
  const plugins = tableAt(table, 'plugins') ?? {}
  return Object.keys(plugins).find((name) => {
    const plugin = plugins[name]
    if (name === criPlugin || !isTable(plugin)) return false
    return [plugin, tableAt(plugin, 'registry')].some((section) => isPath(section?.['config_path']))
  })
}

function isPath(value: unknown): boolean {
  return typeof value === 'string' && value !== ''
}

function judgeStart({ changedAt, startedAt }: ContainerdState, config: string): readonly Finding[] {
  if (changedAt === undefined || startedAt === undefined || changedAt <= startedAt) return []
  return [
    warning('containerd-not-restarted', `${config} was changed after containerd was started`, {
      means: 'containerd has not read the change yet',
      todo: 'systemctl restart containerd',
    }),
  ]
}
