import fs from 'node:fs'
import files from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { Level } from 'level'

type Call = (...given: unknown[]) => unknown
type Callbacks = Record<string, Call>

/** The calls by which the main thread changes or syncs the disk. Bytes of large blobs are written by other threads. */
const BY_PROMISE = ['rename', 'mkdir', 'writeFile', 'rm', 'unlink', 'open']
const BY_HANDLE = ['writeFile', 'sync', 'datasync']
const BY_CALLBACK = ['open', 'fdatasync']

/**
 * Calls `onStep` before every disk step. It can count the steps, or end the process exactly between two of them. Must be
 * called before any module is imported that uses the disk.
 */
export async function watchDiskSteps(onStep: (name: string) => void): Promise<void> {
  watch(files as unknown as Callbacks, BY_PROMISE, 'files', onStep)
  watch(fs as unknown as Callbacks, BY_CALLBACK, 'fs', onStep)
  const handle = await files.open('/dev/null')
  watch(Object.getPrototypeOf(handle), BY_HANDLE, 'handle', onStep)
  await handle.close()
  watch(Level.prototype as unknown as Callbacks, ['batch'], 'index', onStep)
  // Without this call, named imports would still refer to the original functions.
  syncBuiltinESMExports()
}

function watch(
  on: Callbacks,
  names: readonly string[],
  module: string,
  onStep: (name: string) => void,
): void {
  for (const name of names) {
    const original = on[name]
    if (original === undefined) throw new Error(`${module} has no ${name} to watch`)
    on[name] = function (this: unknown, ...given: unknown[]) {
      onStep(`${module}.${name}`)
      return original.apply(this, given)
    }
  }
}
