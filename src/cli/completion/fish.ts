import type { Flag } from '../context/command.ts'
import { type CommandWords, PROGRAMS } from './command-words.ts'

const [PROGRAM = '', ...OTHER_NAMES] = PROGRAMS

/** The script with which fish completes commands, flags and files, with what each of them means. */
export function fishCompletion(commands: readonly CommandWords[]): string {
  const lines = [
    ...OTHER_NAMES.map((name) => `complete --command ${name} --wraps ${PROGRAM}`),
    `complete --command ${PROGRAM} --condition __fish_use_subcommand --no-files`,
    ...commands.flatMap(linesOf),
  ]
  return `# fish completion for leat; made by: leat completion fish\n${lines.join('\n')}\n`
}

function linesOf({ name, summary, flags, choices }: CommandWords): readonly string[] {
  const within = `complete --command ${PROGRAM} --condition '__fish_seen_subcommand_from ${name}`
  const isFirst = `; and not __fish_seen_subcommand_from ${choices.join(' ')}`
  return [
    `complete --command ${PROGRAM} --condition __fish_use_subcommand --arguments ${name} --description ${quoted(summary)}`,
    ...(choices.length === 0
      ? []
      : [`${within}${isFirst}' --no-files --arguments ${quoted(choices.join(' '))}`]),
    ...flags.map((flag) => `${within}' ${flagText(flag)}`),
  ]
}

function flagText({ name, kind, help }: Flag): string {
  const value = kind === 'switch' ? '' : ' --require-parameter --force-files'
  return `--long-option ${name}${value} --description ${quoted(help)}`
}

function quoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
}
