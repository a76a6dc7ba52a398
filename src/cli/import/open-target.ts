import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { loadSetting, type SettingSources } from '../../config/load.ts'
import { ControlClient } from '../../import/control/control-client.ts'
import { controlSocket } from '../../import/control/socket-path.ts'
import type { ImportTarget } from '../../import/target/import-target.ts'
import { errorCode } from '../../lib/error-code.ts'
import { HostedNames } from '../../oci/names/hosted-names.ts'
import { Failure } from '../../ports/failure.ts'
import { CommandError } from '../context/command.ts'

/**
 * Runs `work` on the agent that uses the data folder, or on the folder itself when no agent does. A folder that was named
 * with --data is created; without it, a missing folder is a mistake.
 */
export async function withImportTarget<Result>(
  settings: SettingSources,
  isNamed: boolean,
  work: (target: ImportTarget) => Promise<Result>,
): Promise<Result> {
  const path = await loadSetting('data', settings)
  const agent = await ControlClient.connect(controlSocket(path))
  if (agent !== undefined) return work(agent)
  if (!isNamed) await checkDataFolder(path)
  // Loaded here only, as an import into a running agent needs no database.
  const [{ openStore }, { StoreTarget }] = await Promise.all([
    import('../../store/open.ts'),
    import('../../import/target/store-target.ts'),
  ])
  const maxBytes = await loadSetting('maxBytes', settings)
  const hosted = new HostedNames((await loadSetting('hosted', settings)) ?? [])
  const store = await openStore({ path, ...(maxBytes === undefined ? {} : { maxBytes }) }).catch(
    (cause: unknown) => {
      throw openError(cause, path)
    },
  )
  try {
    return await work(new StoreTarget(store, (repository) => hosted.isHosted(repository)))
  } finally {
    await store.close()
  }
}

async function checkDataFolder(path: string): Promise<void> {
  try {
    await stat(join(path, 'format'))
  } catch (cause) {
    const message =
      errorCode(cause) === 'EACCES'
        ? `${path} cannot be read by this user; run the command as the user of the agent`
        : `${path} is not the data folder of an agent; give the folder of agent serve with --data`
    throw new CommandError(message, { cause })
  }
}

function openError(cause: unknown, path: string): unknown {
  if (!(cause instanceof Failure)) return cause
  const message = isLocked(cause)
    ? `an agent on ${path} is starting, or has no socket for imports, which its log explains; wait for it or stop it, and import again`
    : cause.message
  return new CommandError(message, { cause })
}

function isLocked(error: unknown): boolean {
  return errorCode(error) === 'LEVEL_LOCKED' || (error instanceof Error && isLocked(error.cause))
}
