import { COMMANDS } from '../../src/cli/command-list.ts'
import type { CommandEntry, Flag, Positional } from '../../src/cli/context/command.ts'
import { SETTINGS, type Setting } from '../../src/config/schema.ts'

/** The manual pages by file name, made from the table of commands: `leat.1`, one page for each command, and both names. */
export async function manPages(version: string): Promise<ReadonlyMap<string, string>> {
  const pages = new Map([
    ['leat.1', overview(version)],
    ['agent.1', '.so man1/leat.1\n'],
  ])
  for (const entry of COMMANDS) pages.set(`leat-${entry.name}.1`, await commandPage(entry, version))
  return pages
}

function overview(version: string): string {
  return [
    header('leat', version),
    section('NAME'),
    'leat, agent \\- serve container images from a verified cache on this node\n',
    section('SYNOPSIS'),
    '.B leat\n.I command\n[\\fIoptions\\fR]\n',
    section('COMMANDS'),
    ...COMMANDS.map(({ name, summary }) => item(`.BR leat\\-${escaped(name)} (1)`, summary)),
    section('FILES'),
    item(
      '.I /etc/leat/config.yaml',
      'The settings, if the file is there and \\-\\-config names no other.',
      true,
    ),
    section('ENVIRONMENT'),
    paragraph('Each setting of leat serve can be given as a variable; flags override it.'),
    ...Object.values<Setting<unknown>>(SETTINGS).flatMap(({ env, help }) =>
      env === undefined ? [] : [item(`.B ${escaped(env)}`, help)],
    ),
    section('EXIT STATUS'),
    item('.B 0', 'done'),
    item('.B 1', 'failed'),
    item('.B 2', 'wrong usage or settings'),
    item('.B 130', 'interrupted by Ctrl-C'),
  ].join('')
}

async function commandPage({ name, summary, load }: CommandEntry, version: string): Promise<string> {
  const { flags, positionals, examples } = await load()
  return [
    header(`leat-${name}`, version),
    section('NAME'),
    `leat\\-${escaped(name)} \\- ${escaped(summary)}\n`,
    section('SYNOPSIS'),
    `.B leat ${escaped(name)}\n${positionals.map(positionalText).join('')}[\\fIoptions\\fR]\n`,
    ...(positionals.length === 0 ? [] : [section('ARGUMENTS')]),
    ...positionals.map((one) => item(`.I ${escaped(one.name)}`, one.help)),
    ...(flags.length === 0 ? [] : [section('OPTIONS')]),
    ...flags.map(flagText),
    section('EXAMPLES'),
    ...examples.map(({ line, what }) =>
      item(`.B ${escaped(line.replaceAll(/\bagent(?= [a-z])/g, 'leat'))}`, what),
    ),
    section('SEE ALSO'),
    '.BR leat (1)\n',
  ].join('')
}

/** The page has no date, so that the same version always makes the same page. */
function header(name: string, version: string): string {
  return `.TH ${escaped(name.toUpperCase())} 1 "" "Leat ${escaped(version)}" "Leat"\n.nh\n`
}

function section(title: string): string {
  return `.SH ${title}\n`
}

function paragraph(text: string): string {
  return `${line(escaped(text))}\n`
}

/** `tag` is a line of roff. The text is one, too, when `isRoff`. */
function item(tag: string, text: string, isRoff = false): string {
  return `.TP\n${tag}\n${line(isRoff ? text : escaped(text))}\n`
}

function positionalText({ name, isMany, isOptional }: Positional): string {
  const text = `\\fI${escaped(name)}\\fR${isMany === true ? ' ...' : ''}`
  return `${isOptional === true ? `[${text}]` : text}\n`
}

function flagText({ name, kind, help, defaultText }: Flag): string {
  const value = kind === 'switch' ? '' : ' \\fIvalue\\fR'
  const text = defaultText === undefined ? help : `${help} (default: ${defaultText})`
  return item(`\\fB\\-\\-${escaped(name)}\\fR${value}`, text)
}

function escaped(text: string): string {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll("'", '\\(aq')
    .replaceAll('^', '\\(ha')
    .replaceAll('~', '\\(ti')
    .replaceAll('`', '\\(ga')
    .replaceAll(
      /[^\x20-\x7e]/gu,
      (sign) => `\\[u${(sign.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}]`,
    )
}

/** A line that begins with a dot would be a request. */
function line(text: string): string {
  return text.startsWith('.') ? `\\&${text}` : text
}
