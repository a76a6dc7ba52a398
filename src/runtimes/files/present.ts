import { RuntimeFailure } from './failure.ts'
import type { HostFiles } from './host-files.ts'
import { type Entry, hashOf, type Ledger } from './ledger.ts'
import type { Cutter } from './plan.ts'

/** The files of a host as they would be without us: what others have written, and what is planned on. */
export class Present {
  readonly files: HostFiles
  readonly #ledger: Ledger
  readonly #kind: Cutter

  constructor(files: HostFiles, ledger: Ledger, kind: Cutter) {
    this.files = files
    this.#ledger = ledger
    this.#kind = kind
  }

  /** The bytes of others; undefined when without us there would be no such file. */
  async bytes(path: string): Promise<Buffer | undefined> {
    const current = await this.files.read(path)
    if (current === undefined) return undefined
    const entry = this.#ledger.get(path)
    const original = originalOf(entry)
    if (entry?.written.includes(hashOf(current)) === true) return original
    const text = textOf(current, path)
    const before = original === undefined ? undefined : textOf(original, path)
    const rest = this.#kind.cut(text, { path, url: entry?.url, before })
    return rest === undefined ? undefined : Buffer.from(rest)
  }

  /** A folder that is here only because something had to be put into it. */
  isOurs(folder: string): boolean {
    return this.#ledger.hasMade(folder)
  }

  async text(path: string): Promise<string | undefined> {
    const bytes = await this.bytes(path)
    return bytes === undefined ? undefined : textOf(bytes, path)
  }
}

export function originalOf(entry: Entry | undefined): Buffer | undefined {
  return entry === undefined || entry.original === null ? undefined : Buffer.from(entry.original, 'base64')
}

function textOf(bytes: Buffer, path: string): string {
  const text = bytes.toString('utf8')
  if (Buffer.from(text).equals(bytes)) return text
  throw new RuntimeFailure(`${path} is not text in UTF-8; correct it first`)
}
