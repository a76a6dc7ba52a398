import { configFileSchema } from '../../config/json-schema.ts'
import { nearest } from '../../config/values/nearest.ts'
import { KIND_NAMES } from '../../migrate/convert.ts'
import { checkSettings } from '../config/check-settings.ts'
import { importSettings } from '../config/import-settings.ts'
import { printSettings } from '../config/print-settings.ts'
import { type Command, type Invocation, JSON_FLAG, type Terminal, usageError } from '../context/command.ts'
import { settingFlags } from '../context/settings.ts'

type Action = (paths: readonly string[], given: Invocation, terminal: Terminal) => Promise<0 | 2>

const ACTIONS: Readonly<Record<string, Action>> = {
  check: checkSettings,
  show: printSettings,
  schema: async (_paths, _given, terminal) => {
    await terminal.out(`${JSON.stringify(configFileSchema(), undefined, 2)}\n`)
    return 0
  },
  import: async (paths, given, terminal) => {
    await importSettings(paths, given, terminal)
    return 0
  },
}

/** `agent config check|show|schema|import`. */
export const config: Command = {
  positionals: [
    { name: 'action', help: 'check, show, schema or import', choices: Object.keys(ACTIONS) },
    {
      name: 'file',
      help: 'check, show: the settings file, as with --config; import: files with the settings of another tool',
      isMany: true,
      isOptional: true,
    },
  ],
  flags: [
    ...settingFlags('config'),
    {
      name: 'kind',
      kind: 'text',
      help: `import: the tool: ${KIND_NAMES.join(', ')}`,
      defaultText: 'found out from the content of each file',
    },
    {
      name: 'output',
      kind: 'text',
      help: 'import: file to write; an existing one is not overwritten',
      defaultText: 'stdout',
    },
    { name: 'force', kind: 'switch', help: 'import: overwrite the file of --output', defaultText: undefined },
    {
      name: 'with-passwords',
      kind: 'switch',
      help: 'import: copy passwords that stand in clear, instead of naming a file for each',
      defaultText: undefined,
    },
    JSON_FLAG,
  ],
  examples: [
    {
      line: 'agent config check leat.yaml',
      what: 'list all mistakes of the file, and of the LEAT_ variables; exits with 2 if there are any',
    },
    { line: 'agent config show', what: 'print all settings, with secrets hidden, and where each comes from' },
    { line: 'agent config schema > config.json', what: 'write the JSON Schema of the file for an editor' },
    {
      line: 'agent config import config.yml',
      what: 'print the settings of a registry:2 mirror as those of Leat; stderr says what has no counterpart',
    },
    {
      line: 'agent config import /etc/containerd/certs.d/docker.io/hosts.toml --output leat.yaml',
      what: 'take over the mirrors of containerd',
    },
    {
      line: 'agent config import upstreams.yaml registry.env --kind oci-registry',
      what: 'put the settings of several files into one',
    },
  ],
  async run(given, terminal) {
    const [name = '', ...paths] = given.positionals
    const action = Object.hasOwn(ACTIONS, name) ? ACTIONS[name] : undefined
    if (action === undefined) throw usageError(unknownAction(name))
    return action(paths, given, terminal)
  },
}

function unknownAction(name: string): string {
  const known = Object.keys(ACTIONS)
  const suggestion = nearest(name, known)
  const hint = suggestion === undefined ? `expected ${known.join(', ')}` : `did you mean ${suggestion}?`
  return `unknown action ${JSON.stringify(name)}; ${hint}`
}
