import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { DiskLimit } from '../../lib/disk-limit.ts'
import { errorCode } from '../../lib/error-code.ts'
import { Failure } from '../../ports/failure.ts'
import { openStore } from '../../store/open.ts'
import type { Store } from '../../store/store.ts'
import { CommandError } from './command.ts'

/**
 * Opens the store in a data folder for `work`. Only one process can open it, so no agent may be running on it. Without
 * `maxBytes` nothing is evicted meanwhile.
 */
export async function withStore<Result>(
  path: string,
  work: (store: Store) => Promise<Result>,
  { maxBytes }: { maxBytes?: DiskLimit | undefined } = {},
): Promise<Result> {
  await checkDataFolder(path)
  const store = await open(path, maxBytes)
  try {
    return await work(store)
  } finally {
    await store.close()
  }
}

/** `openStore` would create a store in an empty folder, but here a folder without a store is a typing error. */
async function checkDataFolder(path: string): Promise<void> {
  try {
    await stat(join(path, 'format'))
  } catch (cause) {
    const denied = errorCode(cause) === 'EACCES'
    throw new CommandError(
      denied
        ? `${path} cannot be read by this user; run the command as the user of the agent`
        : `${path} is not the data folder of an agent; give the folder of agent serve --data`,
      { cause },
    )
  }
}

async function open(path: string, maxBytes: DiskLimit | undefined): Promise<Store> {
  try {
    return await openStore({ path, ...(maxBytes === undefined ? {} : { maxBytes }) })
  } catch (cause) {
    throw openError(cause, path)
  }
}

/** Turns a failure to open the store into a `CommandError`. */
export function openError(cause: unknown, path: string): unknown {
  if (!(cause instanceof Failure)) return cause
  const message = isLocked(cause)
    ? `an agent is running on ${path}; leave out --data to ask it, and give --admin if it does not listen on 127.0.0.1:5051`
    : cause.message
  return new CommandError(message, { cause })
}

function isLocked(error: unknown): boolean {
  return errorCode(error) === 'LEVEL_LOCKED' || (error instanceof Error && isLocked(error.cause))
}
