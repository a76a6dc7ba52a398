import type * as v from 'valibot'
import { loadSetting, type SettingSources } from '../../config/load.ts'
import { plain } from '../../observe/text.ts'
import { Failure } from '../../ports/failure.ts'
import * as report from '../../schemas/upkeep-report.ts'
import { type GcLine, PinsReport } from '../../schemas/upkeep-report.ts'
import type { Upkeep } from '../../upkeep/upkeep.ts'
import { adminFlags, adminTarget } from './admin-target.ts'
import { type ApiRequest, callApi, interrupted, streamApi } from './client.ts'
import { CommandError, DATA_FLAG, type Flag, type Invocation, type Terminal } from './command.ts'
import { givenSettings } from './settings.ts'

/** The upkeep operations, which a running agent or this process carries out. */
export type UpkeepOperations = Pick<Upkeep, 'gc' | 'collectHosted' | 'verify' | 'pin' | 'unpin' | 'remove'>

export const DATA_ALTERNATIVE = 'give the data folder with --data to work without an agent'

export function upkeepFlags(): readonly Flag[] {
  return [DATA_FLAG, ...adminFlags()]
}

/**
 * Runs `work` on the running agent, or with --data on a data folder. `hasLimit` applies the size limit of the settings to
 * the folder. Every failure is a `CommandError`.
 */
export async function withUpkeep(
  given: Invocation,
  terminal: Terminal,
  work: (upkeep: UpkeepOperations) => Promise<0 | 1>,
  { hasLimit = false } = {},
): Promise<0 | 1> {
  const settings = givenSettings(given, terminal)
  try {
    if (given.values['data'] === undefined) return await work(await agentUpkeep(settings))
    return await withFolder(settings, work, hasLimit)
  } catch (error) {
    throw asCommandError(error)
  }
}

async function agentUpkeep(settings: SettingSources): Promise<UpkeepOperations> {
  const admin = await adminTarget(settings)
  const lines = <Schema extends v.GenericSchema>(request: Omit<ApiRequest, 'alternative'>, schema: Schema) =>
    streamApi(admin, { ...request, alternative: DATA_ALTERNATIVE }, schema)
  const pins = (method: 'POST' | 'DELETE') => (subjects: readonly string[]) =>
    callApi(
      admin,
      { method, path: '/api/v1/pins', body: { subjects }, alternative: DATA_ALTERNATIVE },
      PinsReport,
    )
  return {
    gc: ({ toBytes, signal }): AsyncGenerator<GcLine> =>
      lines({ method: 'POST', path: '/api/v1/gc', body: { toBytes }, signal }, report.GcLine),
    collectHosted: ({ isDryRun, signal }) =>
      lines({ method: 'POST', path: '/api/v1/hosted/gc', body: { isDryRun }, signal }, report.HostedGcLine),
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
  work: (upkeep: UpkeepOperations) => Promise<0 | 1>,
  hasLimit: boolean,
): Promise<0 | 1> {
  // Loaded here only, as commands that ask the agent need no database.
  const [{ withStore }, { Upkeep }, { garbageOf }] = await Promise.all([
    import('./offline-store.ts'),
    import('../../upkeep/upkeep.ts'),
    import('../../hosted/open-hosted.ts'),
  ])
  const path = await loadSetting('data', settings)
  const maxBytes = hasLimit ? await loadSetting('maxBytes', settings) : undefined
  const defaultNamespace = await loadSetting('defaultNamespace', settings)
  const graceMs = await loadSetting('hostedGrace', settings)
  const retention = await loadSetting('hostedRetention', settings)
  return withStore(
    path,
    (store) => work(new Upkeep(store, defaultNamespace, garbageOf({ graceMs, retention }, store))),
    { maxBytes },
  )
}

/** Turns expected failures into a `CommandError`. */
export function asCommandError(error: unknown): unknown {
  if (error instanceof Failure) return new CommandError(error.message, { cause: error })
  if (!(error instanceof Error)) return error
  if (error.name === 'AbortError') return interrupted(error)
  if (error.name !== 'RequestError' || !('code' in error)) return error
  const exitCode = error.code === 'malformed' ? 2 : 1
  return new CommandError(plain(error.message), { exitCode, cause: error })
}

/** Passes the lines to `onLine` and returns the last one, `done`. Throws when the stream ends otherwise. */
export async function resultOf<Line extends { readonly is: string }>(
  lines: AsyncIterable<Line>,
  onLine: (line: Exclude<Line, { is: 'done' } | { is: 'failed' }>) => Promise<void>,
): Promise<Extract<Line, { is: 'done' }>> {
  let done: Line | undefined
  for await (const line of lines) {
    if (line.is === 'failed' && 'error' in line) {
      throw new CommandError(`${plain(String(line.error))}; completed work is kept`)
    }
    if (line.is === 'done') done = line
    else await onLine(line as Exclude<Line, { is: 'done' } | { is: 'failed' }>)
  }
  if (done === undefined)
    throw new CommandError('the agent closed the connection before the end of its response; try again')
  return done as Extract<Line, { is: 'done' }>
}
