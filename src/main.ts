#!/usr/bin/env node
import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { CommandError, type Terminal } from './cli/context/command.ts'
import { SettingsError } from './config/values/settings-error.ts'

/** The only file that touches the process: its arguments, streams, signals and exit code. */

const WIDTH = { narrowest: 60, widest: 110, unknown: 100 }
const UNKNOWN_HEIGHT = 24
const VERSION_FLAGS = ['--version', '-V']

const ONE_KEY_PRESS_MS = 500

/** Whoever reads has had enough, as with `agent ls | head`: there is nobody left to tell, and that is no failure. */
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1))
process.stderr.on('error', () => {})

keepMemorySmall()
// A thread's own heap, when it is set up, puts the flags of the whole process back.
process.on('worker', (thread) => thread.once('online', keepMemorySmall))
process.exit(await main())

/**
 * V8 is made for programs that compute: it lets its heap grow to several times of what is in use before it collects, and
 * takes 40 MB to optimize a large WebAssembly function that is called often, as is undici's parser of HTTP. This program
 * moves bytes: under full load it is as fast with these.
 */
function keepMemorySmall(): void {
  setFlagsFromString('--semi-space-growth-factor=1')
  setFlagsFromString('--heap-growing-percent=50')
  setFlagsFromString('--wasm-tiering-budget=2000000000')
}

/** The package has two names for this program, which are links to this file. */
function programName(): string {
  return basename(process.argv[1] ?? '') === 'leat' ? 'leat' : 'agent'
}

async function main(): Promise<0 | 1 | 2 | 130> {
  try {
    const version = readVersion()
    const args = process.argv.slice(2)
    // The parser of arguments takes more time to load than all else that this needs.
    if (args.length === 1 && VERSION_FLAGS.includes(args[0] ?? '')) {
      await written(process.stdout, `${version}\n`)
      return 0
    }
    const { readArguments } = await import('./cli/arguments.ts')
    const request = await readArguments(args, {
      name: programName(),
      version,
      width: width(),
    })
    if (request.kind === 'run') return await request.command.run(request.given, terminal(version))
    await written(process.stdout, `${request.text}\n`)
    return 0
  } catch (error) {
    const [sentences, code] = told(error)
    const lines = sentences.map((sentence) => `${programName()}: ${sentence}\n`)
    await written(process.stderr, lines.join(''))
    return code
  }
}

function told(error: unknown): readonly [sentences: readonly string[], code: 1 | 2 | 130] {
  if (error instanceof CommandError) return [[error.message], error.exitCode]
  if (error instanceof SettingsError) return [error.mistakes, 2]
  // Nobody expected this one: whoever reports it needs to say where it came from.
  if (error instanceof Error) return [[`this should not have happened: ${error.stack ?? error.message}`], 1]
  return [[String(error)], 1]
}

function terminal(version: string): Terminal {
  return {
    out: (text) => written(process.stdout, text),
    err: (text) => written(process.stderr, text),
    isInteractive: process.stdout.isTTY === true,
    isErrInteractive: process.stderr.isTTY === true,
    get columns() {
      // Some terminals say that they have none.
      return process.stdout.columns || WIDTH.unknown
    },
    get rows() {
      return process.stdout.rows || UNKNOWN_HEIGHT
    },
    env: process.env,
    version,
    onHangup,
    stopped,
  }
}

/**
 * The first signal asks to end; a second one does not wait for it, unless it comes at once: `npm start` passes on to the
 * agent a Ctrl-C that the terminal has sent it already.
 */
function stopped(): AbortSignal {
  const controller = new AbortController()
  let firstAt = 0
  const onSignal = (): void => {
    if (controller.signal.aborted && performance.now() - firstAt > ONE_KEY_PRESS_MS) process.exit(130)
    if (controller.signal.aborted) return
    firstAt = performance.now()
    controller.abort()
  }
  process.on('SIGTERM', onSignal)
  process.on('SIGINT', onSignal)
  return controller.signal
}

/** A terminal that is closed sends SIGHUP to what runs in it, which ends then; a service is asked to read its settings. */
function onHangup(listener: () => void): void {
  if (process.stdin.isTTY !== true && process.stderr.isTTY !== true) process.on('SIGHUP', listener)
}

/** Resolves when it is out: `process.exit` drops what a slow pipe has not taken yet. */
function written(stream: NodeJS.WriteStream, text: string): Promise<void> {
  return new Promise((resolve) => {
    stream.write(text, () => resolve())
  })
}

function width(): number {
  const { columns } = process.stdout
  return columns === undefined ? WIDTH.unknown : Math.min(Math.max(columns, WIDTH.narrowest), WIDTH.widest)
}

/** package.json lies beside the folder of the build, or one above when the tests have built it. */
function readVersion(): string {
  for (const above of ['..', '../..']) {
    try {
      const { name, version } = JSON.parse(
        readFileSync(new URL(`${above}/package.json`, import.meta.url), 'utf8'),
      )
      if (name === 'leat') return String(version)
    } catch {
      // Not there: look further up.
    }
  }
  return 'unknown'
}
