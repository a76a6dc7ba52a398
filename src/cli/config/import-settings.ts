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
import { CommandError, type Invocation, singleValue, type Terminal, usageError } from '../context/command.ts'

const MAX_FILE_BYTES = 1024 * 1024

/** `agent config import FILE...`: prints or writes the settings of other tools as those of Leat. */
export async function importSettings(
  paths: readonly string[],
  given: Invocation,
  terminal: Terminal,
): Promise<void> {
  if (paths.length === 0) {
    throw usageError('config import needs a file with the settings of another tool; see agent config --help')
  }
  const kind = kindOf(given)
  const files = await Promise.all(paths.map(readGiven))
  const conversion = convert(files, { kind, withPasswords: given.switches.has('with-passwords') })
  for (const note of conversion.notes) await terminal.err(`${plain(note)}\n`)
  await write(conversion, given, terminal)
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
