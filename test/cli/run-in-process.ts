import { readFileSync } from 'node:fs'
import * as v from 'valibot'
import { readArguments } from '../../src/cli/arguments.ts'
import { CommandError } from '../../src/cli/context/command.ts'
import { SettingsError } from '../../src/config/values/settings-error.ts'
import type { CommandResult } from './agent-process.ts'

const { version } = v.parse(
  v.object({ version: v.string() }),
  JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')),
)

/**
 * Runs a command in this process, as starting a process for each command would take most of the time of a test. Errors
 * become an exit code and lines on stderr as in main.ts, which the tests with `agent-process.ts` run.
 */
export async function runInProcess(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  {
    now,
    onErr,
    onOut,
    signal = new AbortController().signal,
  }: {
    now?: () => number
    onErr?: (text: string) => void
    onOut?: (text: string) => void
    /** Aborted by what Ctrl-C does to a command. */
    signal?: AbortSignal
  } = {},
): Promise<CommandResult> {
  let out = ''
  let err = ''
  try {
    const request = await readArguments(args, { version, width: 100 })
    if (request.kind === 'print') return { code: 0, out: `${request.text}\n`, err }
    const code = await request.command.run(request.given, {
      out: async (text) => {
        out += text
        onOut?.(text)
      },
      err: async (text) => {
        err += text
        onErr?.(text)
      },
      isInteractive: false,
      columns: 100,
      rows: 24,
      env,
      version,
      stopped: () => signal,
      ...(now === undefined ? {} : { now }),
    })
    return { code, out, err }
  } catch (error) {
    if (error instanceof CommandError)
      return { code: error.exitCode, out, err: `${err}agent: ${error.message}\n` }
    if (error instanceof SettingsError) {
      const lines = error.mistakes.map((mistake) => `agent: ${mistake}\n`)
      return { code: 2, out, err: `${err}${lines.join('')}` }
    }
    throw error
  }
}
