import { createHash } from 'node:crypto'
import { lstat, mkdir, mkdtemp, readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { TestContext } from 'node:test'

/** A host whose root is a temporary folder. */
export class Host {
  readonly root: string

  static async make(
    t: TestContext,
    files: Readonly<Record<string, string | Uint8Array>> = {},
  ): Promise<Host> {
    const root = await mkdtemp(join(tmpdir(), 'leat-host-'))
    t.after(() => rm(root, { recursive: true, force: true }))
    const host = new Host(root)
    for (const [path, content] of Object.entries(files)) await host.write(path, content)
    return host
  }

  private constructor(root: string) {
    this.root = root
  }

  async write(path: string, content: string | Uint8Array): Promise<void> {
    await mkdir(dirname(this.at(path)), { recursive: true })
    await writeFile(this.at(path), content)
  }

  /** Undefined if the file does not exist. */
  async read(path: string): Promise<string | undefined> {
    return await readFile(this.at(path), 'utf8').catch(() => undefined)
  }

  at(path: string): string {
    return join(this.root, path)
  }

  /** Every file, folder and link by path, with its mode and a hash of its content. */
  async snapshot(): Promise<Readonly<Record<string, string>>> {
    const snapshot: Record<string, string> = {}
    for (const path of (await readdir(this.root, { recursive: true })).sort()) {
      const at = join(this.root, path)
      const stat = await lstat(at)
      const mode = stat.mode.toString(8)
      if (stat.isSymbolicLink()) snapshot[path] = `link to ${await readlink(at)}`
      else if (stat.isDirectory()) snapshot[path] = `folder ${mode}`
      else
        snapshot[path] = `${mode} ${createHash('sha256')
          .update(await readFile(at))
          .digest('hex')}`
    }
    return snapshot
  }
}
