/** One command of the command line: what it takes, and what it does. Adding one is a file and a line in all.ts. */
export interface Command {
  /** Words after the command's name, all of them needed unless they say otherwise. */
  readonly words: readonly Word[]
  readonly flags: readonly Flag[]
  readonly examples: readonly Example[]
  /** Resolves with the exit code: 0 done, 1 failed. Throws a `CommandError` or a `SettingsError` for what it can name. */
  run(given: Invocation, terminal: Terminal): Promise<0 | 1>
}

export interface Word {
  readonly name: string
  readonly help: string
  /** One or more of them; only the last word may be so. */
  readonly isMany?: boolean
  /** Only the last word may be so. */
  readonly isOptional?: boolean
}

export interface Flag {
  /** Without dashes. */
  readonly name: string
  /** A switch takes no value; a list may be given several times. */
  readonly kind: 'text' | 'list' | 'switch'
  readonly help: string
  /** As the help shows the default. */
  readonly shown: string | undefined
}

export interface Example {
  readonly line: string
  readonly what: string
}

/** What stood on the command line, checked for shape only. */
export interface Invocation {
  /** By flag; a list where one was given several times. */
  readonly values: Readonly<Record<string, string | readonly string[] | undefined>>
  readonly switches: ReadonlySet<string>
  readonly words: readonly string[]
}

/** The world around a command. */
export interface Terminal {
  /** To stdout: what was asked for. Resolves when it has been taken. */
  out(text: string): Promise<void>
  /** To stderr: everything else. */
  err(text: string): Promise<void>
  /** A person is looking at stdout. */
  readonly isInteractive: boolean
  /** How wide it is now; something usual where nobody is looking. */
  readonly columns: number
  /** How high, likewise. */
  readonly rows: number
  readonly env: Readonly<Record<string, string | undefined>>
  readonly version: string
  /** Milliseconds; default: of a monotonic clock. */
  now?(): number
  /** Aborted when the command is asked to end; from the first call on it is up to the command to do so. */
  stopped(): AbortSignal
}

/** One sentence that says what is wrong and what to do. */
export class CommandError extends Error {
  /** 2 when the way it was called is wrong. */
  readonly exitCode: 1 | 2

  constructor(message: string, { exitCode = 1, cause }: { exitCode?: 1 | 2; cause?: unknown } = {}) {
    super(message, cause === undefined ? undefined : { cause })
    this.name = 'CommandError'
    this.exitCode = exitCode
  }
}

/** For commands that can do without an agent. */
export const DATA_FLAG: Flag = {
  name: 'data',
  kind: 'text',
  help: 'use this folder, with no agent running on it, instead of asking the agent',
  shown: undefined,
}

export const JSON_FLAG: Flag = {
  name: 'json',
  kind: 'switch',
  help: 'print JSON, for programs',
  shown: undefined,
}
