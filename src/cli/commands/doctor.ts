import { loadSettings, type SettingSources } from '../../config/load.ts'
import type { Settings } from '../../config/schema.ts'
import { SettingsError } from '../../config/values/shape.ts'
import { checksOf } from '../../doctor/checks.ts'
import { type Diagnosis, examine } from '../../doctor/examine.ts'
import { notLookedAt, problem } from '../../doctor/tools/finding.ts'
import type { Patient } from '../../doctor/tools/node-settings.ts'
import { errorCode } from '../../lib/error-code.ts'
import { plain } from '../../observe/text.ts'
import { USUAL_CONFIG } from '../../runtimes/kinds/containerd-config.ts'
import { type Command, CommandError, type Invocation, JSON_FLAG, type Terminal } from '../context/command.ts'
import { allSettingFlags, givenSettings } from '../context/settings.ts'
import { doctorText } from '../terminal/doctor-text.ts'
import { agentOptions } from './serve.ts'

const DEADLINE_MS = 15_000
/** Has no settings. */
const NO_FILE = '/dev/null'

/** `agent doctor`. */
export const doctor: Command = {
  words: [],
  flags: [
    {
      name: 'root',
      kind: 'text',
      help: 'folder put before the paths of the runtimes’ settings: where the host’s root is mounted into a container',
      shown: '/',
    },
    { name: 'containerd-config', kind: 'text', help: 'containerd’s own configuration', shown: USUAL_CONFIG },
    ...allSettingFlags(),
    JSON_FLAG,
  ],
  examples: [
    { line: 'agent doctor', what: 'what is wrong on this node, and what to do about it' },
    { line: 'agent doctor --config leat.yaml', what: 'with the settings that the agent was given' },
    { line: 'agent doctor --root /host', what: 'in a container, with the root of the node mounted there' },
    {
      line: 'agent doctor --json | jq \'.findings[] | select(.state == "problem")\'',
      what: 'for programs; it ends with 1 when there is a problem',
    },
  ],
  async run(given, terminal) {
    const { settings, diagnoses } = await settingsOf(givenSettings(given, terminal))
    const found = await examine(checksOf(patientOf(settings, given, terminal)), { deadlineMs: DEADLINE_MS })
    const all = [...diagnoses, ...found]
    const healthy = !all.some(({ state }) => state === 'problem')
    await terminal.out(
      given.switches.has('json')
        ? `${JSON.stringify({ healthy, findings: all }, undefined, 2)}\n`
        : doctorText(all),
    )
    return healthy ? 0 : 1
  },
}

/** A file of settings that cannot be used is told, and the rest is looked at as far as that goes without it. */
async function settingsOf(
  given: SettingSources,
): Promise<{ settings: Settings; diagnoses: readonly Diagnosis[] }> {
  try {
    return { settings: await loadSettings(given), diagnoses: [] }
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error
    const { config: _flag, ...flags } = given.flags
    const { LEAT_CONFIG: _variable, ...env } = given.env
    // What is wrong with flags and variables is wrong usage, and is thrown here.
    const settings = await loadSettings({ flags, env, defaultFile: NO_FILE })
    return { settings, diagnoses: [{ check: 'settings', ...judged(error) }] }
  }
}

function judged(error: SettingsError) {
  const { cause } = error
  if (errorCode(cause) === 'EACCES') {
    return notLookedAt(
      `${plain(error.message)}; what follows is about an agent without that file`,
      'run the doctor as root, or as the agent’s user',
    )
  }
  return problem(plain(error.message), {
    means: 'the agent does not start with it; what follows is about an agent without that file',
    todo: 'correct it, and start the agent again',
  })
}

function patientOf(settings: Settings, given: Invocation, terminal: Terminal): Patient {
  const { upstreams = {}, peers } = agentOptions(settings, terminal)
  const { admin, listen, data, maxBytes, tlsCert } = settings
  const containerdConfig = textOf(given, 'containerd-config') ?? USUAL_CONFIG
  if (!containerdConfig.startsWith('/')) {
    throw wrong(
      `--containerd-config is ${JSON.stringify(containerdConfig)}; expected a path from the root of the host`,
    )
  }
  return {
    version: terminal.version,
    admin,
    listen,
    isTls: tlsCert !== undefined,
    data,
    maxBytes,
    upstreams,
    peers,
    root: textOf(given, 'root') ?? '/',
    containerdConfig,
  }
}

function textOf({ values }: Invocation, flag: string): string | undefined {
  const value = values[flag]
  if (value === undefined || typeof value === 'string') return value
  throw wrong(`--${flag} is given more than once; keep one`)
}

function wrong(message: string): CommandError {
  return new CommandError(message, { exitCode: 2 })
}
