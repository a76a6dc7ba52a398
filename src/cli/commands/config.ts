import { readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { nearest } from '../../config/values/nearest.ts'
import { errorCode } from '../../lib/error-code.ts'
import {
  type Conversion,
  convertSettings,
  type GivenFile,
  KIND_NAMES,
  UnknownFormat,
} from '../../migrate/convert.ts'
import { plain } from '../../observe/text.ts'
import {
  type Command,
  CommandError,
  type Invocation,
  JSON_FLAG,
  singleValue,
  type Terminal,
  usageError,
} from '../context/command.ts'

const ACTIONS = ['import']
const MAX_FILE_BYTES = 1024 * 1024

/** `agent config import FILE...`. */
export const config: Command = {
  positionals: [
    { name: 'action', help: 'import' },
    { name: 'file', help: 'a file with the settings of another tool', isMany: true },
  ],
  flags: [
    {
      name: 'kind',
      kind: 'text',
      help: `the tool: ${KIND_NAMES.join(', ')}`,
      defaultText: 'found out from the content of each file',
    },
    {
      name: 'output',
      kind: 'text',
      help: 'file to write; an existing one is not overwritten',
      defaultText: 'stdout',
    },
    { name: 'force', kind: 'switch', help: 'overwrite the file of --output', defaultText: undefined },
    {
      name: 'with-passwords',
      kind: 'switch',
      help: 'copy passwords that stand in clear, instead of naming a file for each',
      defaultText: undefined,
    },
    JSON_FLAG,
  ],
  examples: [
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
    const paths = pathsOf(given)
    const kind = kindOf(given)
    const files = await Promise.all(paths.map(readGiven))
    const conversion = convert(files, { kind, withPasswords: given.switches.has('with-passwords') })
    for (const note of conversion.notes) await terminal.err(`${plain(note)}\n`)
    await write(conversion, given, terminal)
    return 0
  },
}

function pathsOf({ positionals: [action = '', ...paths] }: Invocation): readonly string[] {
  if (!ACTIONS.includes(action)) {
    const suggestion = nearest(action, ACTIONS)
    throw usageError(
      `unknown action ${JSON.stringify(action)}; ${suggestion === undefined ? `expected ${ACTIONS.join(', ')}` : `did you mean ${suggestion}?`}`,
    )
  }
  return paths
}

function kindOf(given: Invocation): string | undefined {
  const kind = singleValue(given, 'kind')
  if (kind === undefined || KIND_NAMES.includes(kind)) return kind
  const suggestion = nearest(kind, KIND_NAMES)
  throw usageError(
    `--kind is ${JSON.stringify(kind)}; ${suggestion === undefined ? `expected one of ${KIND_NAMES.join(', ')}` : `did you mean ${suggestion}?`}`,
  )
}

async function readGiven(path: string): Promise<GivenFile> {
  try {
    const { size } = await stat(path)
    if (size > MAX_FILE_BYTES)
      throw new CommandError(`${path} is larger than 1MiB; it cannot be a settings file`)
    return { path, text: await readFile(path, 'utf8') }
  } catch (cause) {
    if (cause instanceof CommandError) throw cause
    const code = errorCode(cause)
    const why = {
      ENOENT: 'it does not exist',
      EACCES: 'permission denied',
      EISDIR: 'it is a folder; give its files',
    }
    throw new CommandError(`cannot read ${path}: ${why[code as keyof typeof why] ?? code}`, { cause })
  }
}

function convert(files: readonly GivenFile[], options: Parameters<typeof convertSettings>[1]): Conversion {
  try {
    return convertSettings(files, options)
  } catch (cause) {
    throw cause instanceof UnknownFormat ? new CommandError(cause.message, { cause }) : cause
  }
}

async function write(conversion: Conversion, given: Invocation, terminal: Terminal): Promise<void> {
  const { settings, notes, kinds, yaml } = conversion
  const output = singleValue(given, 'output')
  if (output !== undefined) await writeOutput(output, yaml, given.switches.has('force'))
  if (given.switches.has('json')) {
    await terminal.out(
      `${JSON.stringify({ kinds, settings, notes, output: output ?? null }, undefined, 2)}\n`,
    )
  } else await terminal.out(output === undefined ? yaml : `${plain(output)} is written\n`)
}

/** The file may have passwords, so only its owner may read it. */
async function writeOutput(path: string, text: string, isForced: boolean): Promise<void> {
  const options = { mode: 0o600, flag: 'wx' }
  try {
    if (!isForced) return await writeFile(path, text, options)
    const draft = `${path}.${process.pid}.tmp`
    await writeFile(draft, text, options)
    await rename(draft, path).catch(async (error: unknown) => {
      await rm(draft, { force: true })
      throw error
    })
  } catch (cause) {
    const code = errorCode(cause)
    throw new CommandError(
      code === 'EEXIST' && !isForced
        ? `${path} exists already; give another --output, or --force to overwrite it`
        : `cannot write ${path}: ${code}; give another --output`,
      { cause },
    )
  }
}
