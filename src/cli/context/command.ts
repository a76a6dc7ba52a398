/** One command of the command line. A new command is a file in `commands/` and an entry in `command-list.ts`. */
export interface Command {
  /** The arguments after the name of the command, all of them required unless `isOptional`. */
  readonly positionals: readonly Positional[]
  readonly flags: readonly Flag[]
  readonly examples: readonly Example[]
  /**
   * Resolves with the exit code: 0 done, 1 failed, 2 wrong settings that the command has told itself. Throws a `CommandError`
   * or a `SettingsError` for expected failures.
   */
  run(given: Invocation, terminal: Terminal): Promise<0 | 1 | 2>
}

/** A command in the list of commands. */
export interface CommandEntry {
  readonly name: string
  readonly summary: string
  /** Loads the command and its dependencies; only the command that runs is loaded. */
  readonly load: () => Promise<Command>
}

export interface Positional {
  readonly name: string
  readonly help: string
  /** The words that are allowed, for completion; left out when the argument is not one of a few words. */
  readonly choices?: readonly string[]
  /** It may be given several times; allowed for the last positional only. */
  readonly isMany?: boolean
  /** Allowed for the last positional only. */
  readonly isOptional?: boolean
}

export interface Flag {
  /** Without dashes. */
  readonly name: string
  /** A switch takes no value; a list may be given several times. */
  readonly kind: 'text' | 'list' | 'switch'
  readonly help: string
  /** The default, as the help shows it. */
  readonly defaultText: string | undefined
}

export interface Example {
  readonly line: string
  readonly what: string
}

/** The parsed command line; each command validates the values itself. */
export interface Invocation {
  /** By the name of the flag; a list when the flag was given several times. */
  readonly values: Readonly<Record<string, string | readonly string[] | undefined>>
  readonly switches: ReadonlySet<string>
  readonly positionals: readonly string[]
}

/** The environment of a command: its output streams, variables and signals. */
export interface Terminal {
  /** Writes the result to stdout. Resolves when the text has been flushed. */
  out(text: string): Promise<void>
  /** Writes progress and errors to stderr. */
  err(text: string): Promise<void>
  /** stdout is a terminal. */
  readonly isInteractive: boolean
  /** stderr is a terminal; default: it is not. */
  readonly isErrInteractive?: boolean
  /** The current width; a usual value when stdout is not a terminal. */
  readonly columns: number
  /** The current height, likewise. */
  readonly rows: number
  readonly env: Readonly<Record<string, string | undefined>>
  readonly version: string
  /** Milliseconds; default: a monotonic clock. */
  now?(): number
  /** Calls `listener` at each SIGHUP from now on, which then does not end the process. On a terminal SIGHUP means its end. */
  onHangup?(listener: () => void): void
  /** Aborted by SIGINT or SIGTERM. After the first call, a signal no longer ends the process by itself. */
  stopped(): AbortSignal
}

/** A failure whose message says in one sentence what is wrong and what to do. */
export class CommandError extends Error {
  /** 2 for wrong usage, 130 if the user has interrupted the command. */
  readonly exitCode: 1 | 2 | 130

  constructor(message: string, { exitCode = 1, cause }: { exitCode?: 1 | 2 | 130; cause?: unknown } = {}) {
    super(message, cause === undefined ? undefined : { cause })
    this.name = 'CommandError'
    this.exitCode = exitCode
  }
}

/** Wrong usage, which ends with exit code 2. */
export function usageError(message: string): CommandError {
  return new CommandError(message, { exitCode: 2 })
}

/** The value of a flag that may be given once at most. */
export function singleValue({ values }: Invocation, flag: string): string | undefined {
  const value = values[flag]
  if (value === undefined || typeof value === 'string') return value
  throw usageError(`--${flag} is given more than once; give it once`)
}

/** The flag of commands that also work without a running agent. */
export const DATA_FLAG: Flag = {
  name: 'data',
  kind: 'text',
  help: 'work on this data folder directly instead of asking the agent, which must not be running',
  defaultText: undefined,
}

export const JSON_FLAG: Flag = {
  name: 'json',
  kind: 'switch',
  help: 'print JSON',
  defaultText: undefined,
}
