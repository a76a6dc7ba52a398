import yargs, { type Argv, type Options } from 'yargs'
import { nearest } from '../config/values/nearest.ts'
import { COMMANDS } from './command-list.ts'
import {
  type Command,
  type CommandEntry,
  CommandError,
  type Flag,
  type Invocation,
  usageError,
} from './context/command.ts'

/**
 * The positionals of a command are known only once it is loaded, so yargs gets this placeholder. The help of all commands
 * leaves it out.
 */
const POSITIONALS = '[positionals..]'

/** What the command line asks for: to run a command, or to print the help or the version. */
export type CommandRequest =
  | { readonly kind: 'run'; readonly command: Command; readonly given: Invocation }
  | { readonly kind: 'print'; readonly text: string }

interface Program {
  /** The name by which the program was called; default: `agent`. */
  readonly name?: string
  readonly version: string
  /** The width of the terminal, to which the help is wrapped. */
  readonly width: number
}

/** Throws a `CommandError` for wrong usage. */
export async function readArguments(
  argv: readonly string[],
  { name = 'agent', version, width }: Program,
): Promise<CommandRequest> {
  let chosen: { readonly command: Command; readonly given: Invocation } | undefined
  let printed = ''
  let problem: Error | undefined
  const parser = COMMANDS.reduce(
    (parser, entry) =>
      addCommand(parser, entry, name, (command, given) => {
        chosen = { command, given }
      }),
    newParser(name, version, width),
  )
  try {
    await parser.parseAsync(
      [...withHelpFlag(argv)],
      {},
      (error: Error | undefined | null, _given: unknown, text: string) => {
        problem = error ?? undefined
        printed = text
      },
    )
  } catch (error) {
    // yargs throws some usage errors and passes others to the callback above.
    if (!(error instanceof Error)) throw error
    problem = error
  }
  if (problem !== undefined) throw await asUsageError(problem, argv)
  return chosen === undefined
    ? { kind: 'print', text: printed.replaceAll(` ${POSITIONALS}`, '') }
    : { kind: 'run', ...chosen }
}

/** `agent help warm` is `agent warm --help`. */
function withHelpFlag(argv: readonly string[]): readonly string[] {
  const [first, command] = argv
  if (first !== 'help') return argv
  if (command === undefined) return ['--help']
  // yargs would print the help of all commands for a name that it does not know.
  return COMMANDS.some(({ name }) => name === command) ? [command, '--help'] : [command]
}

function newParser(name: string, version: string, width: number): Argv {
  return yargs()
    .scriptName(name)
    .locale('en')
    .usage('$0 <command>\n\nServes container images from a verified cache on this node.')
    .example(`${name} serve`, 'serve images on 127.0.0.1:5050 until Ctrl-C')
    .example(`${name} serve --help`, 'options and examples of a command')
    .version(version)
    .alias('version', 'V')
    .help()
    .alias('help', 'h')
    .wrap(width)
    .exitProcess(false)
    .strict()
    .demandCommand(1, 'no command given')
    .parserConfiguration({
      'boolean-negation': false,
      'camel-case-expansion': false,
      'dot-notation': false,
      'greedy-arrays': false,
      'parse-numbers': false,
      'parse-positional-numbers': false,
    })
}

function addCommand(
  parser: Argv,
  { name, summary, load }: CommandEntry,
  program: string,
  choose: (command: Command, given: Invocation) => void,
): Argv {
  return parser.command({
    command: `${name} ${POSITIONALS}`,
    describe: summary,
    builder: async (commandParser: Argv) => describe(commandParser, program, name, summary, await load()),
    handler: async (values: Record<string, unknown>) => {
      const command = await load()
      choose(command, invocation(command, values, name))
    },
  })
}

function describe(parser: Argv, program: string, name: string, summary: string, command: Command): Argv {
  const positionals = command.positionals.map((positional) => {
    const text = `<${positional.name}>${positional.isMany === true ? '...' : ''}`
    return positional.isOptional === true ? `[${text}]` : text
  })
  const described = parser
    .usage([`$0 ${[name, ...positionals].join(' ')} [options]`, '', summary].join('\n'))
    .hide('positionals')
    .options(Object.fromEntries(command.flags.map((flag) => [flag.name, option(flag)])))
    .epilogue(command.positionals.map((positional) => `<${positional.name}>: ${positional.help}`).join('\n'))
  return command.examples.reduce(
    (all, { line, what }) => all.example(line.replaceAll(/\bagent(?= [a-z])/g, program), what),
    described,
  )
}

function option({ kind, help, defaultText }: Flag): Options {
  if (kind === 'switch') return { type: 'boolean', describe: help }
  const base: Options = {
    describe: help,
    requiresArg: true,
    ...(defaultText === undefined ? {} : { defaultDescription: defaultText }),
  }
  return kind === 'list' ? { ...base, type: 'array', string: true } : { ...base, type: 'string' }
}

function invocation(command: Command, given: Record<string, unknown>, name: string): Invocation {
  const positionals = Array.isArray(given['positionals']) ? given['positionals'].map(String) : []
  const missing = command.positionals[positionals.length]
  if (missing !== undefined && missing.isOptional !== true) {
    throw usageError(`${name} needs ${missing.help}; see agent ${name} --help`)
  }
  const extra =
    command.positionals.at(-1)?.isMany === true ? undefined : positionals[command.positionals.length]
  if (extra !== undefined) {
    throw usageError(`unexpected argument ${JSON.stringify(extra)} after ${name}; see agent ${name} --help`)
  }
  const values: Record<string, string | readonly string[]> = {}
  const switches = new Set<string>()
  for (const flag of command.flags) {
    const value = given[flag.name]
    if (flag.kind === 'switch' && value === true) switches.add(flag.name)
    else if (typeof value === 'string') values[flag.name] = value
    else if (Array.isArray(value)) values[flag.name] = value.map(String)
  }
  return { values, switches, positionals }
}

/** Turns an error of yargs into one sentence, with the command or option that was probably meant. */
async function asUsageError(problem: Error, argv: readonly string[]): Promise<Error> {
  if (problem.name !== 'YError') return problem
  const [first] = withHelpFlag(argv)
  const entry = COMMANDS.find(({ name }) => name === first)
  const help = entry === undefined ? 'agent --help' : `agent ${entry.name} --help`
  const unknown = /^Unknown arguments?: ([^,]+)/.exec(problem.message)?.[1]
  const withoutValue = /^Not enough arguments following: (.+)$/.exec(problem.message)?.[1]
  return new CommandError(
    unknown !== undefined
      ? `${await unknownArgument(unknown, entry, argv)}; see ${help}`
      : withoutValue !== undefined
        ? `--${withoutValue} needs a value; see ${help}`
        : `${problem.message}; see ${help}`,
    { exitCode: 2, cause: problem },
  )
}

async function unknownArgument(
  argument: string,
  entry: CommandEntry | undefined,
  argv: readonly string[],
): Promise<string> {
  if (entry === undefined && argv[0]?.startsWith('-') === true) return `unknown option ${argv[0]}`
  if (entry === undefined) {
    const suggestion = nearest(
      argument,
      COMMANDS.map(({ name }) => name),
    )
    return `unknown command ${JSON.stringify(argument)}${suggestion === undefined ? '' : ` (did you mean ${suggestion}?)`}`
  }
  const flags = (await entry.load()).flags.map(({ name }) => name)
  const suggestion = nearest(argument, flags)
  return `unknown option --${argument} of ${entry.name}${suggestion === undefined ? '' : ` (did you mean --${suggestion}?)`}`
}
