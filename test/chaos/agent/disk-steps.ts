import fs from 'node:fs'
import files from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { Level } from 'level'

type Call = (...given: unknown[]) => unknown
type Callbacks = Record<string, Call>

/** Everything by which the main thread changes or syncs what is on the disk. Bytes of large blobs are written by others. */
const BY_PROMISE = ['rename', 'mkdir', 'writeFile', 'rm', 'unlink', 'open']
const BY_HANDLE = ['writeFile', 'sync', 'datasync']
const BY_CALLBACK = ['open', 'fdatasync']

/**
 * Tells of every step just before it is taken. What is called is the real thing: the one who is told may only count, or end
 * the process, so that it dies exactly between two steps. To be called before anything is imported that uses the disk.
 */
export async function watchSteps(onStep: (name: string) => void): Promise<void> {
  watch(files as unknown as Callbacks, BY_PROMISE, 'files', onStep)
  watch(fs as unknown as Callbacks, BY_CALLBACK, 'fs', onStep)
  const handle = await files.open('/dev/null')
  watch(Object.getPrototypeOf(handle), BY_HANDLE, 'handle', onStep)
  await handle.close()
  watch(Level.prototype as unknown as Callbacks, ['batch'], 'index', onStep)
  // Without this the names that modules import would still mean what they meant before.
  syncBuiltinESMExports()
}

function watch(on: Callbacks, names: readonly string[], what: string, onStep: (name: string) => void): void {
  for (const name of names) {
    const original = on[name]
    if (original === undefined) throw new Error(`${what} has no ${name} to watch`)
    on[name] = function (this: unknown, ...given: unknown[]) {
      onStep(`${what}.${name}`)
      return original.apply(this, given)
    }
  }
}
