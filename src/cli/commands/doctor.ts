import { loadSettings, type SettingSources } from '../../config/load.ts'
import type { Settings } from '../../config/schema.ts'
import { SettingsError } from '../../config/values/settings-error.ts'
import { checksOf } from '../../doctor/check-list.ts'
import { type Diagnosis, runChecks } from '../../doctor/run-checks.ts'
import { AS_ROOT, notChecked, problem } from '../../doctor/tools/finding.ts'
import type { NodeSettings } from '../../doctor/tools/node-settings.ts'
import { errorCode } from '../../lib/error-code.ts'
import { plain } from '../../observe/text.ts'
import { DEFAULT_CONFIG } from '../../runtimes/kinds/containerd-config.ts'
import { adminTarget } from '../context/admin-target.ts'
import { agentOptions } from '../context/agent-options.ts'
import {
  type Command,
  type Invocation,
  JSON_FLAG,
  singleValue,
  type Terminal,
  usageError,
} from '../context/command.ts'
import { runtimesOf } from '../context/runtimes.ts'
import { allSettingFlags, givenSettings } from '../context/settings.ts'
import { doctorText } from '../terminal/doctor-text.ts'

/** A check that takes longer than this reports that it got no answer in time. */
const DEADLINE_MS = 15_000
/** An empty configuration file. */
const NO_FILE = '/dev/null'

/** `agent doctor`. */
export const doctor: Command = {
  positionals: [],
  flags: [
    {
      name: 'root',
      kind: 'text',
      help: 'prefix of the paths of the runtimes’ settings: where the root of the host is mounted in a container',
      defaultText: '/',
    },
    {
      name: 'containerd-config',
      kind: 'text',
      help: 'path of the configuration of containerd',
      defaultText: DEFAULT_CONFIG,
    },
    {
      name: 'runtime',
      kind: 'list',
      help: 'containerd, crio or docker: a runtime that has to use the agent; may be given several times',
      defaultText: 'the runtimes that are found, none of which has to',
    },
    ...allSettingFlags(),
    { name: 'quiet', kind: 'switch', help: 'print problems and warnings only', defaultText: undefined },
    JSON_FLAG,
  ],
  examples: [
    { line: 'agent doctor', what: 'find problems on this node and say how to solve them' },
    { line: 'agent doctor --config leat.yaml', what: 'with the settings of the agent' },
    {
      line: 'agent doctor --root /host',
      what: 'in a container in which the root of the node is mounted at /host',
    },
    {
      line: 'agent doctor --json | jq \'.findings[] | select(.state == "problem")\'',
      what: 'for scripts; the exit code is 1 when there is a problem',
    },
  ],
  async run(given, terminal) {
    const { settings, sources, diagnoses } = await settingsOf(givenSettings(given, terminal))
    const { token, ...target } = await adminTarget(sources)
    const admin = { ...target, token: token?.reveal() }
    const found = await runChecks(checksOf({ ...nodeSettingsOf(settings, given, terminal), admin }), {
      deadlineMs: DEADLINE_MS,
    })
    const all = [...diagnoses, ...found]
    const healthy = !all.some(({ state }) => state === 'problem')
    await terminal.out(
      given.switches.has('json')
        ? `${JSON.stringify({ healthy, findings: all }, undefined, 2)}\n`
        : doctorText(given.switches.has('quiet') ? all.filter(needsAttention) : all),
    )
    return healthy ? 0 : 1
  },
}

function needsAttention({ state }: Diagnosis): boolean {
  return state === 'problem' || state === 'warning'
}

/** A configuration file that cannot be used is a finding; the other checks run without its settings. */
async function settingsOf(
  given: SettingSources,
): Promise<{ settings: Settings; sources: SettingSources; diagnoses: readonly Diagnosis[] }> {
  try {
    return { settings: await loadSettings(given), sources: given, diagnoses: [] }
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error
    const { config: _flag, ...flags } = given.flags
    const { LEAT_CONFIG: _variable, ...env } = given.env
    // An error in flags or variables is wrong usage, and is thrown here.
    const sources = { flags, env, defaultFile: NO_FILE }
    const settings = await loadSettings(sources)
    return { settings, sources, diagnoses: [{ check: 'settings', ...settingsFinding(error) }] }
  }
}

function settingsFinding(error: SettingsError) {
  const { cause } = error
  if (errorCode(cause) === 'EACCES') {
    return notChecked(
      'settings-unreadable',
      `${plain(error.message)}; the other checks ran without this file`,
      AS_ROOT,
    )
  }
  return problem('settings-invalid', plain(error.message), {
    means: 'the agent does not start with this file; the other checks ran without it',
    todo: 'correct the file, then start the agent again',
  })
}

function nodeSettingsOf(settings: Settings, given: Invocation, terminal: Terminal): NodeSettings {
  const { upstreams = {}, peers, objectStore, sources = [] } = agentOptions(settings, terminal)
  const { admin, listen, data, maxBytes, minFree, tlsCert, defaultNamespace } = settings
  const containerdConfig = singleValue(given, 'containerd-config') ?? DEFAULT_CONFIG
  if (!containerdConfig.startsWith('/')) {
    throw usageError(
      `--containerd-config is ${JSON.stringify(containerdConfig)}; expected an absolute path on the host`,
    )
  }
  return {
    version: terminal.version,
    admin,
    listen,
    isTls: tlsCert !== undefined,
    data,
    maxBytes,
    minFree,
    sources,
    defaultNamespace,
    upstreams,
    objectStore,
    peers,
    root: singleValue(given, 'root') ?? '/',
    containerdConfig,
    runtimes: runtimesOf(given),
  }
}
