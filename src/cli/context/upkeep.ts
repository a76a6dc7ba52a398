import type * as v from 'valibot'
import { loadSetting, type SettingSources } from '../../config/load.ts'
import { plain } from '../../observe/text.ts'
import { Failure } from '../../ports/failure.ts'
import * as report from '../../schemas/upkeep-report.ts'
import { type GcLine, PinsReport } from '../../schemas/upkeep-report.ts'
import type { Upkeep } from '../../upkeep/upkeep.ts'
import { type Asking, ask, askLines, interrupted } from './client.ts'
import { CommandError, DATA_FLAG, type Flag, type Invocation, type Terminal } from './command.ts'
import { givenSettings, settingFlags } from './settings.ts'

/** What can be done to what is kept, by a running agent or without one. */
export type Upkeeping = Pick<Upkeep, 'gc' | 'verify' | 'pin' | 'unpin' | 'remove'>

export const OR_ELSE = 'give with --data the folder to look into without an agent'

export function upkeepFlags(): readonly Flag[] {
  return [DATA_FLAG, ...settingFlags('admin', 'config')]
}

/**
 * Has the agent do it, or does it in the folder that is named with --data, `isBounded`: with the limit that the settings
 * give it. Every failure is one sentence.
 */
export async function withUpkeep(
  given: Invocation,
  terminal: Terminal,
  work: (upkeep: Upkeeping) => Promise<0 | 1>,
  { isBounded = false } = {},
): Promise<0 | 1> {
  const settings = givenSettings(given, terminal)
  try {
    if (given.values['data'] === undefined) return await work(await remote(settings))
    return await withFolder(settings, work, isBounded)
  } catch (error) {
    throw explained(error)
  }
}

async function remote(settings: SettingSources): Promise<Upkeeping> {
  const admin = await loadSetting('admin', settings)
  const lines = <Schema extends v.GenericSchema>(asking: Omit<Asking, 'orElse'>, schema: Schema) =>
    askLines(admin, { ...asking, orElse: OR_ELSE }, schema)
  const pins = (method: 'POST' | 'DELETE') => (subjects: readonly string[]) =>
    ask(admin, { method, path: '/api/v1/pins', body: { subjects }, orElse: OR_ELSE }, PinsReport)
  return {
    gc: ({ toBytes, signal }): AsyncGenerator<GcLine> =>
      lines({ method: 'POST', path: '/api/v1/gc', body: { toBytes }, signal }, report.GcLine),
    verify: ({ bytesPerSecond, signal }) =>
      lines({ method: 'POST', path: '/api/v1/verify', body: { bytesPerSecond }, signal }, report.VerifyLine),
    pin: pins('POST'),
    unpin: pins('DELETE'),
    remove: ({ subjects, force, signal }) =>
      lines(
        { method: 'DELETE', path: '/api/v1/images', body: { subjects, force }, signal },
        report.RemovalLine,
      ),
  }
}

async function withFolder(
  settings: SettingSources,
  work: (upkeep: Upkeeping) => Promise<0 | 1>,
  isBounded: boolean,
): Promise<0 | 1> {
  // Whoever asks the agent needs no database.
  const [{ withStore }, { Upkeep }] = await Promise.all([
    import('./stored.ts'),
    import('../../upkeep/upkeep.ts'),
  ])
  const path = await loadSetting('data', settings)
  const maxBytes = isBounded ? await loadSetting('maxBytes', settings) : undefined
  const defaultNamespace = await loadSetting('defaultNamespace', settings)
  return withStore(path, (store) => work(new Upkeep(store, defaultNamespace)), { maxBytes })
}

/** Every failure in one sentence. */
export function explained(error: unknown): unknown {
  if (error instanceof Failure) return new CommandError(error.message, { cause: error })
  if (!(error instanceof Error)) return error
  if (error.name === 'AbortError') return interrupted(error)
  if (error.name !== 'RequestError' || !('code' in error)) return error
  const exitCode = error.code === 'malformed' ? 2 : 1
  return new CommandError(plain(error.message), { exitCode, cause: error })
}

/** The last line of what was told in lines, which is what it came to. Shows those before it to `onLine`. */
export async function outcome<Line extends { readonly is: string }>(
  lines: AsyncIterable<Line>,
  onLine: (line: Exclude<Line, { is: 'done' } | { is: 'failed' }>) => Promise<void>,
): Promise<Extract<Line, { is: 'done' }>> {
  let done: Line | undefined
  for await (const line of lines) {
    if (line.is === 'failed' && 'error' in line) {
      throw new CommandError(`${plain(String(line.error))}; what was done so far is done`)
    }
    if (line.is === 'done') done = line
    else await onLine(line as Exclude<Line, { is: 'done' } | { is: 'failed' }>)
  }
  if (done === undefined) throw new CommandError('the agent stopped in the middle of its answer; try again')
  return done as Extract<Line, { is: 'done' }>
}
