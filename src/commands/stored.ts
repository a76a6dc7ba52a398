import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { Failure } from '../resolve/failure.ts'
import { openStore, type Store } from '../store/open.ts'
import { CommandError } from './command.ts'

/** Lets `look` see the store in a folder on which no agent is running. Only one process can have it open. */
export async function withStore(path: string, look: (store: Store) => Promise<void>): Promise<void> {
  await mustBeData(path)
  const store = await opened(path)
  try {
    await look(store)
  } finally {
    await store.close()
  }
}

/** openStore would make an agent's folder out of an empty one; whoever only wants to look has mistyped it. */
async function mustBeData(path: string): Promise<void> {
  try {
    await stat(join(path, 'format'))
  } catch (cause) {
    const denied = codeOf(cause) === 'EACCES'
    throw new CommandError(
      denied
        ? `${path} may not be read by this user; try again as the one that runs the agent`
        : `${path} is not an agent's data folder; give --data the folder that agent serve was given`,
      { cause },
    )
  }
}

async function opened(path: string): Promise<Store> {
  try {
    return await openStore({ path })
  } catch (cause) {
    if (!(cause instanceof Failure)) throw cause
    const message = isLocked(cause)
      ? `an agent is running on ${path}; leave --data out to ask it, with --admin if it does not listen on 127.0.0.1:5051`
      : cause.message
    throw new CommandError(message, { cause })
  }
}

function isLocked(error: unknown): boolean {
  return codeOf(error) === 'LEVEL_LOCKED' || (error instanceof Error && isLocked(error.cause))
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined
}
