import yargs, { type Argv, type Options } from 'yargs'
import { nearest } from '../config/values/nearest.ts'
import { COMMANDS, type Offer } from './all.ts'
import { type Command, CommandError, type Flag, type Invocation } from './context/command.ts'

/** How many words a command takes is known only when it is loaded; in the help of all of them this is left out. */
const WORDS = '[words..]'

/** What the command line asks for. */
export type Request =
  | { readonly kind: 'run'; readonly command: Command; readonly given: Invocation }
  /** Help, or the version. */
  | { readonly kind: 'print'; readonly text: string }

/** Throws a `CommandError` when it makes no sense. `width` is that of the terminal. */
export async function readArguments(
  argv: readonly string[],
  { version, width }: { version: string; width: number },
): Promise<Request> {
  let chosen: { readonly command: Command; readonly given: Invocation } | undefined
  let printed = ''
  let problem: Error | undefined
  const parser = COMMANDS.reduce(
    (line, offer) =>
      offerCommand(line, offer, (command, given) => {
        chosen = { command, given }
      }),
    newParser(version, width),
  )
  try {
    await parser.parseAsync(
      [...argv],
      {},
      (error: Error | undefined | null, _given: unknown, text: string) => {
        problem = error ?? undefined
        printed = text
      },
    )
  } catch (error) {
    // Some mistakes are thrown and some are handed over.
    if (!(error instanceof Error)) throw error
    problem = error
  }
  if (problem !== undefined) throw await explained(problem, argv)
  return chosen === undefined
    ? { kind: 'print', text: printed.replaceAll(` ${WORDS}`, '') }
    : { kind: 'run', ...chosen }
}

function newParser(version: string, width: number): Argv {
  return yargs()
    .scriptName('agent')
    .locale('en')
    .usage('$0 <command>\n\nServes container images from a verified cache on this node.')
    .example('agent serve', 'serve 127.0.0.1:5050 until Ctrl-C')
    .example('agent serve --help', 'all about a command')
    .version(version)
    .help()
    .wrap(width)
    .exitProcess(false)
    .strict()
    .demandCommand(1, 'no command is given')
    .parserConfiguration({
      'boolean-negation': false,
      'camel-case-expansion': false,
      'dot-notation': false,
      'greedy-arrays': false,
      'parse-numbers': false,
      'parse-positional-numbers': false,
    })
}

function offerCommand(
  line: Argv,
  { name, summary, load }: Offer,
  choose: (command: Command, given: Invocation) => void,
): Argv {
  return line.command({
    command: `${name} ${WORDS}`,
    describe: summary,
    builder: async (own: Argv) => describe(own, name, summary, await load()),
    handler: async (values: Record<string, unknown>) => {
      const command = await load()
      choose(command, invocation(command, values, name))
    },
  })
}

function describe(line: Argv, name: string, summary: string, command: Command): Argv {
  const words = command.words.map((word) => {
    const shown = `<${word.name}>${word.isMany === true ? '...' : ''}`
    return word.isOptional === true ? `[${shown}]` : shown
  })
  const described = line
    .usage([`$0 ${[name, ...words].join(' ')} [options]`, '', summary].join('\n'))
    .hide('words')
    .options(Object.fromEntries(command.flags.map((flag) => [flag.name, option(flag)])))
    .epilogue(command.words.map((word) => `<${word.name}>: ${word.help}`).join('\n'))
  return command.examples.reduce((so, { line: example, what }) => so.example(example, what), described)
}

function option({ kind, help, shown }: Flag): Options {
  if (kind === 'switch') return { type: 'boolean', describe: help }
  const base: Options = {
    describe: help,
    requiresArg: true,
    ...(shown === undefined ? {} : { defaultDescription: shown }),
  }
  return kind === 'list' ? { ...base, type: 'array', string: true } : { ...base, type: 'string' }
}

function invocation(command: Command, given: Record<string, unknown>, name: string): Invocation {
  const words = Array.isArray(given['words']) ? given['words'].map(String) : []
  const missing = command.words[words.length]
  if (missing !== undefined && missing.isOptional !== true) {
    throw new CommandError(`${name} needs ${missing.help}; see agent ${name} --help`, { exitCode: 2 })
  }
  const extra = command.words.at(-1)?.isMany === true ? undefined : words[command.words.length]
  if (extra !== undefined) {
    throw new CommandError(
      `${name} does not know what to do with ${JSON.stringify(extra)}; see agent ${name} --help`,
      {
        exitCode: 2,
      },
    )
  }
  const values: Record<string, string | readonly string[]> = {}
  const switches = new Set<string>()
  for (const flag of command.flags) {
    const value = given[flag.name]
    if (flag.kind === 'switch' && value === true) switches.add(flag.name)
    else if (typeof value === 'string') values[flag.name] = value
    else if (Array.isArray(value)) values[flag.name] = value.map(String)
  }
  return { values, switches, words }
}

/** A mistake in one sentence, with what was probably meant. */
async function explained(problem: Error, argv: readonly string[]): Promise<Error> {
  if (problem.name !== 'YError') return problem
  const offer = COMMANDS.find(({ name }) => name === argv[0])
  const where = offer === undefined ? 'agent --help' : `agent ${offer.name} --help`
  const unknown = /^Unknown arguments?: ([^,]+)/.exec(problem.message)?.[1]
  const lacking = /^Not enough arguments following: (.+)$/.exec(problem.message)?.[1]
  return new CommandError(
    unknown !== undefined
      ? `${await unknownArgument(unknown, offer)} see ${where}`
      : lacking !== undefined
        ? `--${lacking} needs a value; see ${where}`
        : `${problem.message}; see ${where}`,
    { exitCode: 2, cause: problem },
  )
}

async function unknownArgument(argument: string, offer: Offer | undefined): Promise<string> {
  if (offer === undefined) {
    const meant = nearest(
      argument,
      COMMANDS.map(({ name }) => name),
    )
    return `there is no command ${JSON.stringify(argument)}${meant === undefined ? ';' : `; did you mean ${meant}? Else`}`
  }
  const flags = (await offer.load()).flags.map(({ name }) => name)
  const meant = nearest(argument, flags)
  return `${offer.name} has no option --${argument}${meant === undefined ? ';' : `; did you mean --${meant}? Else`}`
}
