import { createHash } from 'node:crypto'
import * as v from 'valibot'
import { RuntimeFailure } from './failure.ts'
import type { HostFiles } from './host-files.ts'
import { RUNTIMES, type Runtime } from './plan.ts'

/** Beside the agent's data, where it outlives the container that wrote it. */
export const LEDGER_PATH = '/var/lib/leat/runtime/installed.json'
const VERSION = 1
/** What was there before may hold what nobody else should read, such as a registry's `header`. */
const MODE = 0o600

const Entry = v.strictObject({
  runtime: v.picklist(RUNTIMES),
  path: v.pipe(v.string(), v.startsWith('/')),
  /** The mirror that was written. */
  url: v.string(),
  /** For which it was asked; null: all. */
  registries: v.nullable(v.array(v.string())),
  /** Who has signed the agent's certificate, in PEM; null: nobody who had to be named. */
  ca: v.optional(v.nullable(v.string()), null),
  /** Base64 of the file as it was; null: there was none. */
  original: v.nullable(v.string()),
  /** SHA-256 of the file as it was written; while that is still under way, of what it may be besides. */
  written: v.array(v.string()),
})
const Document = v.strictObject({
  version: v.literal(VERSION),
  /** That had to be made. */
  folders: v.array(v.string()),
  files: v.array(Entry),
})

export type Entry = v.InferOutput<typeof Entry>

/** What was written where, and what was there before: all that putting it back needs. */
export class Ledger {
  readonly #files: HostFiles
  readonly #entries: Map<string, Entry>
  readonly #folders: Set<string>

  static async open(files: HostFiles): Promise<Ledger> {
    const bytes = await files.read(LEDGER_PATH)
    if (bytes === undefined) return new Ledger(files, [], [])
    const { entries, folders } = parsed(bytes)
    return new Ledger(files, entries, folders)
  }

  private constructor(files: HostFiles, entries: readonly Entry[], folders: readonly string[]) {
    this.#files = files
    this.#entries = new Map(entries.map((entry) => [entry.path, entry]))
    this.#folders = new Set(folders)
  }

  get(path: string): Entry | undefined {
    return this.#entries.get(path)
  }

  of(runtime: Runtime): readonly Entry[] {
    return [...this.#entries.values()].filter((entry) => entry.runtime === runtime)
  }

  /** Before the file is written: a folder that is not there yet is remembered as made. */
  async put(entry: Entry): Promise<void> {
    this.#entries.set(entry.path, entry)
    for (const folder of await this.#files.missingAbove(entry.path)) this.#folders.add(folder)
  }

  drop(path: string): void {
    this.#entries.delete(path)
  }

  /** A folder that is here only because something had to be put into it. */
  hasMade(folder: string): boolean {
    return this.#folders.has(folder)
  }

  /** Before anything it speaks of is written, and after anything has been put back. */
  async save(): Promise<void> {
    if (this.#entries.size === 0) {
      await this.#files.remove(LEDGER_PATH)
      await this.#removeFolders()
      return
    }
    for (const folder of await this.#files.missingAbove(LEDGER_PATH)) this.#folders.add(folder)
    await this.#removeFolders()
    const document = { version: VERSION, folders: [...this.#folders], files: [...this.#entries.values()] }
    const bytes = Buffer.from(`${JSON.stringify(document, undefined, 2)}\n`)
    if ((await this.#files.read(LEDGER_PATH))?.equals(bytes) === true) return
    await this.#files.write(LEDGER_PATH, bytes, MODE)
  }

  /** Those in which nothing is kept, innermost first; whoever has put something in has made it theirs. */
  async #removeFolders(): Promise<void> {
    const needed = [...this.#entries.keys(), LEDGER_PATH]
    for (const folder of [...this.#folders].sort().reverse()) {
      if (this.#entries.size > 0 && needed.some((path) => path.startsWith(`${folder}/`))) continue
      await this.#files.removeEmpty(folder)
      this.#folders.delete(folder)
    }
  }
}

export function hashOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

function parsed(bytes: Buffer): { entries: readonly Entry[]; folders: readonly string[] } {
  try {
    const { files, folders } = v.parse(Document, JSON.parse(bytes.toString('utf8')))
    return { entries: files, folders }
  } catch (cause) {
    throw new RuntimeFailure(
      `${LEDGER_PATH} is not what this version of agent writes; use the version that installed the settings, or move the file away to forget what was there before`,
      { cause },
    )
  }
}
