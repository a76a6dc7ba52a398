import { createHash } from 'node:crypto'
import * as v from 'valibot'
import { RuntimeFailure } from './failure.ts'
import type { HostFiles } from './host-files.ts'
import { RUNTIMES, type Runtime } from './plan.ts'

/** The record is beside the agent's data, where it outlives the container that wrote it. */
export const INSTALL_RECORD_PATH = '/var/lib/leat/runtime/installed.json'
const VERSION = 1
/** The original files may contain secrets, such as a registry's `header`. */
const MODE = 0o600

const FileEntry = v.strictObject({
  runtime: v.picklist(RUNTIMES),
  path: v.pipe(v.string(), v.startsWith('/')),
  /** The URL of the mirror that was written. */
  url: v.string(),
  /** The only registries for which the mirror was requested; null for all. */
  registries: v.nullable(v.array(v.string())),
  /** Registries that were named besides the well-known ones. */
  alsoFor: v.optional(v.array(v.string()), []),
  /** The CA of the agent's certificate, in PEM; null if none was needed. */
  ca: v.optional(v.nullable(v.string()), null),
  /** The file before the install, in base64; null if there was none. */
  original: v.nullable(v.string()),
  /** The SHA-256 of the file after the install. While a write is under way, also that of the version before. */
  written: v.array(v.string()),
})
const Document = v.strictObject({
  version: v.literal(VERSION),
  /** The folders that an install has created. */
  folders: v.array(v.string()),
  files: v.array(FileEntry),
})

export type FileEntry = v.InferOutput<typeof FileEntry>

/** Which files an install has written, and what they were before: all that is needed to restore them. */
export class InstallRecord {
  readonly #files: HostFiles
  readonly #entries: Map<string, FileEntry>
  readonly #folders: Set<string>

  static async open(files: HostFiles): Promise<InstallRecord> {
    const bytes = await files.read(INSTALL_RECORD_PATH)
    if (bytes === undefined) return new InstallRecord(files, [], [])
    const { entries, folders } = parseDocument(bytes)
    return new InstallRecord(files, entries, folders)
  }

  private constructor(files: HostFiles, entries: readonly FileEntry[], folders: readonly string[]) {
    this.#files = files
    this.#entries = new Map(entries.map((entry) => [entry.path, entry]))
    this.#folders = new Set(folders)
  }

  get(path: string): FileEntry | undefined {
    return this.#entries.get(path)
  }

  entriesOf(runtime: Runtime): readonly FileEntry[] {
    return [...this.#entries.values()].filter((entry) => entry.runtime === runtime)
  }

  /** Must be called before the file is written, so that a folder that does not exist yet is recorded as created. */
  async put(entry: FileEntry): Promise<void> {
    this.#entries.set(entry.path, entry)
    for (const folder of await this.#files.missingAbove(entry.path)) this.#folders.add(folder)
  }

  delete(path: string): void {
    this.#entries.delete(path)
  }

  hasCreated(folder: string): boolean {
    return this.#folders.has(folder)
  }

  /** Must be called before a recorded file is written, and after a file has been restored. */
  async save(): Promise<void> {
    if (this.#entries.size === 0) {
      await this.#files.remove(INSTALL_RECORD_PATH)
      await this.#removeFolders()
      return
    }
    for (const folder of await this.#files.missingAbove(INSTALL_RECORD_PATH)) this.#folders.add(folder)
    await this.#removeFolders()
    const document = { version: VERSION, folders: [...this.#folders], files: [...this.#entries.values()] }
    const bytes = Buffer.from(`${JSON.stringify(document, undefined, 2)}\n`)
    if ((await this.#files.read(INSTALL_RECORD_PATH))?.equals(bytes) === true) return
    await this.#files.write(INSTALL_RECORD_PATH, bytes, MODE)
  }

  /** Removes created folders that no entry needs, innermost first. A folder in which others have put files stays. */
  async #removeFolders(): Promise<void> {
    const needed = [...this.#entries.keys(), INSTALL_RECORD_PATH]
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

function parseDocument(bytes: Buffer): { entries: readonly FileEntry[]; folders: readonly string[] } {
  try {
    const { files, folders } = v.parse(Document, JSON.parse(bytes.toString('utf8')))
    return { entries: files, folders }
  } catch (cause) {
    throw new RuntimeFailure(
      `${INSTALL_RECORD_PATH} was not written by this version of the agent; use the version that installed the settings, or move the file away, after which the original settings cannot be restored`,
      { cause },
    )
  }
}
