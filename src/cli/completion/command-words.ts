import type { CommandEntry, Flag } from '../context/command.ts'

/** What a shell completes of one command. */
export interface CommandWords {
  readonly name: string
  readonly summary: string
  readonly flags: readonly Flag[]
  /** The words that the first argument may be; empty when it is a file or a name. */
  readonly choices: readonly string[]
}

/** The names by which the program is called. */
export const PROGRAMS = ['leat', 'agent']

const HELP: Flag = { name: 'help', kind: 'switch', help: 'show help', defaultText: undefined }

export async function commandWords(commands: readonly CommandEntry[]): Promise<readonly CommandWords[]> {
  return Promise.all(
    commands.map(async ({ name, summary, load }) => {
      const { flags, positionals } = await load()
      return { name, summary, flags: [...flags, HELP], choices: positionals[0]?.choices ?? [] }
    }),
  )
}

/** The flags that need a value. */
export function flagsWithValue(flags: readonly Flag[]): readonly Flag[] {
  return flags.filter(({ kind }) => kind !== 'switch')
}
