import { closeSync, fsyncSync, openSync, statfsSync, writeSync } from 'node:fs'
import { mkdtemp, rm, rmdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { run, skipTest } from './programs.ts'

const PAGE = 4096

/** A filesystem of a few MiB in memory, which a test can fill up. */
export class SmallDisk {
  readonly path: string

  /** Undefined if it cannot be mounted: the test is skipped or has failed. */
  static async mount(t: TestContext, mebibytes: number): Promise<SmallDisk | undefined> {
    const path = await mkdtemp(join(tmpdir(), 'leat-chaos-'))
    let mounted = false
    t.after(async () => {
      // A failed test may have left an agent with open files on it.
      if (mounted) await run('umount', ['-l', path])
      await rmdir(path)
    })
    try {
      await run('mount', ['-t', 'tmpfs', '-o', `size=${mebibytes}m`, 'leat-test', path])
      mounted = true
    } catch {
      skipTest(t, 'missing: the right to mount a tmpfs, to fill it up')
      return undefined
    }
    return new SmallDisk(path)
  }

  private constructor(path: string) {
    this.path = path
  }

  get free(): number {
    const { bavail, bsize } = statfsSync(this.path)
    return bavail * bsize
  }

  /** Fills the filesystem until only `left` bytes are free. */
  fill(left = 0): void {
    const file = openSync(this.#ballast, 'a')
    try {
      const page = Buffer.alloc(PAGE, 1)
      while (this.free > left) writeSync(file, page)
      fsyncSync(file)
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOSPC')) throw error
    } finally {
      closeSync(file)
    }
  }

  /** Removes what `fill` has written. */
  async clear(): Promise<void> {
    await rm(this.#ballast, { force: true })
  }

  get #ballast(): string {
    return join(this.path, 'ballast')
  }
}
