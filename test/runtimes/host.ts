import { createHash } from 'node:crypto'
import { lstat, mkdir, mkdtemp, readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { TestContext } from 'node:test'
import type { Wanted } from '../../src/runtimes/files/plan.ts'

export const URL = 'http://127.0.0.1:5050'

export const WANTED: Wanted = {
  address: '127.0.0.1:5050',
  isLoopback: true,
  tls: undefined,
  registries: undefined,
  containerdConfig: '/etc/containerd/config.toml',
  writeConfig: false,
}

/** The root of a host in a folder of its own. */
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

  /** Undefined when there is none. */
  async read(path: string): Promise<string | undefined> {
    return await readFile(this.at(path), 'utf8').catch(() => undefined)
  }

  at(path: string): string {
    return join(this.root, path)
  }

  /** Every file, folder and link, with what it holds and its mode. */
  async everything(): Promise<Readonly<Record<string, string>>> {
    const found: Record<string, string> = {}
    for (const path of (await readdir(this.root, { recursive: true })).sort()) {
      const at = join(this.root, path)
      const stat = await lstat(at)
      const mode = stat.mode.toString(8)
      if (stat.isSymbolicLink()) found[path] = `link to ${await readlink(at)}`
      else if (stat.isDirectory()) found[path] = `folder ${mode}`
      else
        found[path] = `${mode} ${createHash('sha256')
          .update(await readFile(at))
          .digest('hex')}`
    }
    return found
  }
}
