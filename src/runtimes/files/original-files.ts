import { RuntimeFailure } from './failure.ts'
import type { HostFiles } from './host-files.ts'
import { type FileEntry, hashOf, type InstallRecord } from './install-record.ts'
import type { OwnPartRemover } from './plan.ts'

/** The files of a host as they would be without an install. Plans are made from them. */
export class OriginalFiles {
  readonly files: HostFiles
  readonly #record: InstallRecord
  readonly #remover: OwnPartRemover

  constructor(files: HostFiles, record: InstallRecord, remover: OwnPartRemover) {
    this.files = files
    this.#record = record
    this.#remover = remover
  }

  /** Undefined if the file would not exist. */
  async bytes(path: string): Promise<Buffer | undefined> {
    const current = await this.files.read(path)
    if (current === undefined) return undefined
    const entry = this.#record.get(path)
    const original = originalOf(entry)
    if (entry?.written.includes(hashOf(current)) === true) return original
    const text = decode(current, path)
    const before = original === undefined ? undefined : decode(original, path)
    const rest = this.#remover.removeOwnPart(text, { path, url: entry?.url, before })
    return rest === undefined ? undefined : Buffer.from(rest)
  }

  /** Whether an install has created the folder. */
  isOwnFolder(folder: string): boolean {
    return this.#record.hasCreated(folder)
  }

  async text(path: string): Promise<string | undefined> {
    const bytes = await this.bytes(path)
    return bytes === undefined ? undefined : decode(bytes, path)
  }
}

/** The bytes before the install; undefined if there was no file. */
export function originalOf(entry: FileEntry | undefined): Buffer | undefined {
  return entry === undefined || entry.original === null ? undefined : Buffer.from(entry.original, 'base64')
}

function decode(bytes: Buffer, path: string): string {
  const text = bytes.toString('utf8')
  if (Buffer.from(text).equals(bytes)) return text
  throw new RuntimeFailure(`${path} is not UTF-8 text; correct it first`)
}
