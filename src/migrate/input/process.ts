import { isTable, type Table, type Tree, tableAt, text, texts } from './tree.ts'

/** How a program is started: its variables and its command line. */
export interface Process {
  /** Of a service in a compose file. */
  readonly image: string | undefined
  readonly env: Readonly<Record<string, string>>
  readonly words: readonly string[]
}

const ASSIGNMENT = /^(?:export\s+|ENV\s+|Environment=)?"?([A-Za-z_][A-Za-z0-9_]*)=(.*)$/s
const WORD_ASSIGNMENT = /^(?:--env=|Environment=)?([A-Za-z_][A-Za-z0-9_]*)=(.*)$/s

/** Reads an env file, a shell command, a line of a Dockerfile or of a systemd unit. */
export function readProcess(source: string): Process {
  const lines = source
    .replaceAll(/\\\r?\n/g, ' ')
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== '' && !/^[#;]/.test(line))
  // In an env file a value ends with its line, and may have spaces without quotes.
  if (lines.every((line) => ASSIGNMENT.test(line)) && !lines.some(startsProgram)) {
    const env = Object.fromEntries(lines.map((line) => assignment(ASSIGNMENT.exec(line))))
    return { image: undefined, env, words: [] }
  }
  return fromWords(lines.flatMap(shellWords), undefined)
}

/** The services of a compose file; empty for another document. */
export function composeProcesses(tree: Tree): readonly Process[] {
  return Object.values(tableAt(tree, 'services'))
    .filter(isTable)
    .map((service) => {
      const { env, words } = fromWords([...wordsOf(service['entrypoint']), ...wordsOf(service['command'])], {
        ...environmentOf(service),
      })
      return { image: text(service['image']), env, words }
    })
}

/** The names of the files from which a compose file takes more variables. */
export function composeEnvFiles(tree: Tree): readonly string[] {
  return Object.values(tableAt(tree, 'services'))
    .filter(isTable)
    .flatMap((service) => texts(service['env_file']))
}

/**
 * The values of flags: `--name value`, `--name=value`. A flag in `switches` has no value, and gets `true`. What belongs to
 * no flag is in `others`.
 */
export function readFlags(
  words: readonly string[],
  switches: readonly string[] = [],
): { readonly flags: Readonly<Record<string, string>>; readonly others: readonly string[] } {
  const flags: Record<string, string> = {}
  const others: string[] = []
  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? ''
    const [, name = '', value] = /^--([a-z0-9][a-z0-9-]*)(?:=(.*))?$/s.exec(word) ?? []
    if (name === '') others.push(word)
    else if (switches.includes(name)) flags[name] = value ?? 'true'
    else if (value !== undefined) flags[name] = value
    else flags[name] = words[++at] ?? ''
  }
  return { flags, others }
}

function environmentOf(service: Table): Record<string, string> {
  const given = service['environment']
  if (Array.isArray(given)) {
    return Object.fromEntries(
      texts(given).map((one) => assignment(WORD_ASSIGNMENT.exec(one) ?? ['', one, ''])),
    )
  }
  return Object.fromEntries(
    Object.entries(isTable(given) ? given : {}).map(([name, value]) => [name, text(value) ?? '']),
  )
}

function wordsOf(command: Tree): readonly string[] {
  return Array.isArray(command) ? texts(command) : shellWords(text(command) ?? '')
}

function fromWords(all: readonly string[], given: Record<string, string> | undefined): Process {
  const env: Record<string, string> = { ...given }
  const words: string[] = []
  for (const each of all) {
    const word = each.replace(/^Exec(?:Start|StartPre)=[-+!@:]*/, '')
    const found = WORD_ASSIGNMENT.exec(word)
    if (found === null) words.push(word)
    else {
      const [name, value] = assignment(found)
      env[name] = value
    }
  }
  return { image: undefined, env, words }
}

function assignment(found: readonly string[] | null): [name: string, value: string] {
  const [, name = '', value = ''] = found ?? []
  const [, quoted] = /^'([^']*)'$/s.exec(value) ?? /^"((?:[^"\\]|\\.)*)"?$/s.exec(value) ?? []
  return [name, quoted === undefined ? value : quoted.replaceAll(/\\(["\\$`])/g, '$1')]
}

/** Whether a program follows the assignments, as in `NAME=value program --flag`. */
function startsProgram(line: string): boolean {
  const words = shellWords(line.replace(/^(?:export|ENV)\s+/, ''))
  const first = words.findIndex((word) => !WORD_ASSIGNMENT.test(word))
  return first > 0 && words.slice(first).some((word) => word.startsWith('-'))
}

/** Splits a line as a shell does, without expanding variables. */
function shellWords(line: string): readonly string[] {
  const words: string[] = []
  let word: string | undefined
  let quote = ''
  for (let at = 0; at < line.length; at++) {
    const char = line[at] ?? ''
    if (quote !== '') {
      if (char === quote) quote = ''
      else if (char === '\\' && quote === '"' && /["\\$`]/.test(line[at + 1] ?? '')) word += line[++at] ?? ''
      else word += char
    } else if (char === '"' || char === "'") {
      quote = char
      word ??= ''
    } else if (char === '\\' && at + 1 < line.length) {
      word = (word ?? '') + (line[++at] ?? '')
    } else if (/\s/.test(char)) {
      if (word !== undefined) words.push(word)
      word = undefined
    } else if (char === '#' && word === undefined) break
    else word = (word ?? '') + char
  }
  if (word !== undefined) words.push(word)
  return words
}
