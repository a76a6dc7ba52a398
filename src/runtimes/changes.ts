import type { HostFiles } from './files/host-files.ts'
import type { Kind } from './files/kind.ts'
import { type Entry, hashOf, type Ledger } from './files/ledger.ts'
import { type Edit, type Plan, urlOf, type Wanted } from './files/plan.ts'
import { originalOf, type Present } from './files/present.ts'

/**
 * created, changed: written now. current: as it should be. restored: as it was before, byte for byte. removed: it was
 * not there before. cut: others have changed it since, so only our part is gone and theirs is kept. gone: others have
 * removed it since, and so it stays.
 */
export type FileState = 'created' | 'changed' | 'current' | 'restored' | 'removed' | 'cut' | 'gone'

/** A file, as it is and as it is to be. */
export interface Change {
  readonly path: string
  readonly state: FileState
  /** Undefined: it is to be gone. */
  readonly bytes: Buffer | undefined
  /** What is to be remembered; undefined: nothing, any longer. */
  readonly entry: Entry | undefined
}

export interface Around {
  readonly kind: Kind
  readonly ledger: Ledger
  readonly present: Present
}

export async function changesOf(plan: Plan, around: Around & { wanted: Wanted }): Promise<readonly Change[]> {
  const { kind, ledger } = around
  const changes: Change[] = []
  // What was written for other wishes, an earlier time, is wanted no longer.
  for (const { path } of ledger.of(kind.runtime)) {
    if (plan.edits.some((edit) => edit.path === path)) continue
    const back = await backOf(path, around)
    if (back !== undefined) changes.push(back)
  }
  for (const edit of plan.edits) changes.push(await changeOf(edit, around))
  return changes
}

async function changeOf(
  { path, text }: Edit,
  { kind, wanted, present }: Around & { wanted: Wanted },
): Promise<Change> {
  const { files } = present
  const [current, original] = [await files.read(path), await present.bytes(path)]
  const bytes = Buffer.from(text)
  const isCurrent = current?.equals(bytes) === true
  const state = isCurrent ? 'current' : current === undefined ? 'created' : 'changed'
  // Somebody has written what we would have: it is theirs, and stays when ours goes.
  if (original?.equals(bytes) === true) return { path, state, bytes, entry: undefined }
  const entry = {
    runtime: kind.runtime,
    path,
    url: urlOf(wanted),
    registries: wanted.registries === undefined ? null : [...wanted.registries],
    ca: wanted.tls?.ca ?? null,
    original: original?.toString('base64') ?? null,
    written: [hashOf(bytes)],
  }
  return { path, state, bytes, entry }
}

/** Undefined when nothing of ours is there. */
export async function backOf(path: string, { ledger, present }: Around): Promise<Change | undefined> {
  const entry = ledger.get(path)
  const [current, bytes] = [await present.files.read(path), await present.bytes(path)]
  if (entry === undefined && (current === undefined || bytes?.equals(current) === true)) return undefined
  const isOriginal = bytes !== undefined && originalOf(entry)?.equals(bytes) === true
  const state =
    current === undefined ? 'gone' : bytes === undefined ? 'removed' : isOriginal ? 'restored' : 'cut'
  return { path, state, bytes, entry: undefined }
}

/** What is remembered is written first, so that whatever then happens can be undone. */
export async function apply(changes: readonly Change[], files: HostFiles, ledger: Ledger): Promise<void> {
  for (const { entry } of changes) {
    if (entry === undefined) continue
    const older = ledger.get(entry.path)?.written ?? []
    await ledger.put({ ...entry, written: [...new Set([...entry.written, ...older])] })
  }
  await ledger.save()
  for (const { path, bytes, entry } of changes) {
    if (bytes === undefined) await files.remove(path)
    else if ((await files.read(path))?.equals(bytes) !== true) await files.write(path, bytes)
    if (entry === undefined) ledger.drop(path)
    else await ledger.put(entry)
  }
  await ledger.save()
}
