import type { Document, Format } from '../input/document.ts'
import type { Table } from '../input/tree.ts'
import type { Draft } from '../output/draft.ts'

/** A tool whose settings can be turned into those of Leat. */
export interface Kind {
  /** As `--kind` names it. */
  readonly name: string
  /** As messages name it. */
  readonly title: string
  /** The only format that the file can have; undefined: there are several. */
  readonly format?: Format
  /** Whether the file has settings that only this tool has. */
  recognizes(document: Document): boolean
  /** Adds to the draft what the file says, with a sentence for each thing that has no counterpart. */
  convert(document: Document, draft: Draft): void
}

/** Adds a sentence for each key that is not `known`; `reasons` has those that need another sentence. */
export function noteOthers(
  draft: Draft,
  table: Table,
  known: readonly string[],
  { path = '', reasons = {} }: { path?: string; reasons?: Readonly<Record<string, string>> } = {},
): void {
  for (const key of Object.keys(table)) {
    if (known.includes(key)) continue
    draft.note(reasons[key] ?? `${path}${key} has no counterpart in Leat.`)
  }
}

/** `:8080` means every address of the machine. */
export function listenAddress(given: string | undefined): string | undefined {
  return given?.startsWith(':') === true ? `0.0.0.0${given}` : given
}
