import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { DiskLimit } from '../../config/values/size.ts'
import { errorCode } from '../../lib/error-code.ts'
import { Failure } from '../../ports/failure.ts'
import { openStore } from '../../store/open.ts'
import type { Store } from '../../store/store.ts'
import { CommandError } from './command.ts'

/**
 * Lets `work` have the store in a folder on which no agent is running. Only one process can have it open. Without
 * `maxBytes` nothing is evicted meanwhile.
 */
export async function withStore<Result>(
  path: string,
  work: (store: Store) => Promise<Result>,
  { maxBytes }: { maxBytes?: DiskLimit | undefined } = {},
): Promise<Result> {
  await mustBeData(path)
  const store = await opened(path, maxBytes)
  try {
    return await work(store)
  } finally {
    await store.close()
  }
}

/** openStore would make an agent's folder out of an empty one; whoever only wants to look has mistyped it. */
async function mustBeData(path: string): Promise<void> {
  try {
    await stat(join(path, 'format'))
  } catch (cause) {
    const denied = errorCode(cause) === 'EACCES'
    throw new CommandError(
      denied
        ? `${path} may not be read by this user; try again as the one that runs the agent`
        : `${path} is not an agent's data folder; give --data the folder that agent serve was given`,
      { cause },
    )
  }
}

async function opened(path: string, maxBytes: DiskLimit | undefined): Promise<Store> {
  try {
    return await openStore({ path, ...(maxBytes === undefined ? {} : { maxBytes }) })
  } catch (cause) {
    throw openingFailure(cause, path)
  }
}

/** Why a store cannot be opened, in a sentence where that can be said. */
export function openingFailure(cause: unknown, path: string): unknown {
  if (!(cause instanceof Failure)) return cause
  const message = isLocked(cause)
    ? `an agent is running on ${path}; leave --data out to ask it, with --admin if it does not listen on 127.0.0.1:5051`
    : cause.message
  return new CommandError(message, { cause })
}

function isLocked(error: unknown): boolean {
  return errorCode(error) === 'LEVEL_LOCKED' || (error instanceof Error && isLocked(error.cause))
}
