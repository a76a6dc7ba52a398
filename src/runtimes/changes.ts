import type { HostFiles } from './files/host-files.ts'
import { type FileEntry, hashOf, type InstallRecord } from './files/install-record.ts'
import { type OriginalFiles, originalOf } from './files/original-files.ts'
import { type Edit, type MirrorSettings, type Plan, urlOf } from './files/plan.ts'
import type { RuntimeKind } from './files/runtime-kind.ts'

/**
 * created, changed: written now. current: nothing to change. restored: as before the install, byte for byte. removed:
 * the file did not exist before the install. cut: others have changed the file since, so only the own part is removed.
 * gone: others have deleted the file since, and it is not restored.
 */
export type FileState = 'created' | 'changed' | 'current' | 'restored' | 'removed' | 'cut' | 'gone'

/** A change of one file. */
export interface Change {
  readonly path: string
  readonly state: FileState
  /** The bytes before the change; undefined if there is no file. */
  readonly before: Buffer | undefined
  /** The new bytes; undefined if the file is removed. */
  readonly bytes: Buffer | undefined
  /** The new entry of the install record; undefined if the file has none any more. */
  readonly entry: FileEntry | undefined
}

export interface RuntimeFiles {
  readonly kind: RuntimeKind
  readonly record: InstallRecord
  readonly originals: OriginalFiles
}

/** The changes of an install, without writing any of them. */
export async function planChanges(
  plan: Plan,
  options: RuntimeFiles & { mirror: MirrorSettings },
): Promise<readonly Change[]> {
  const { kind, record } = options
  const changes: Change[] = []
  // Files of an earlier install that the plan no longer contains are restored.
  for (const { path } of record.entriesOf(kind.runtime)) {
    if (plan.edits.some((edit) => edit.path === path)) continue
    const restoration = await planRestoration(path, options)
    if (restoration !== undefined) changes.push(restoration)
  }
  for (const edit of plan.edits) changes.push(await planEdit(edit, options))
  return changes
}

async function planEdit(
  { path, text }: Edit,
  { kind, mirror, originals }: RuntimeFiles & { mirror: MirrorSettings },
): Promise<Change> {
  const { files } = originals
  const [current, original] = [await files.read(path), await originals.bytes(path)]
  const bytes = Buffer.from(text)
  const isCurrent = current?.equals(bytes) === true
  const state = isCurrent ? 'current' : current === undefined ? 'created' : 'changed'
  // Others have written the same text. It is theirs, and an uninstall must not remove it.
  if (original?.equals(bytes) === true) return { path, state, before: current, bytes, entry: undefined }
  const entry = {
    runtime: kind.runtime,
    path,
    url: urlOf(mirror),
    registries: mirror.only === undefined ? null : [...mirror.only],
    alsoFor: [...mirror.alsoFor],
    ca: mirror.tls?.ca ?? null,
    original: original?.toString('base64') ?? null,
    written: [hashOf(bytes)],
  }
  return { path, state, before: current, bytes, entry }
}

/** The change that undoes an install; undefined if the file has no own part. */
export async function planRestoration(
  path: string,
  { record, originals }: RuntimeFiles,
): Promise<Change | undefined> {
  const entry = record.get(path)
  const [current, bytes] = [await originals.files.read(path), await originals.bytes(path)]
  if (entry === undefined && (current === undefined || bytes?.equals(current) === true)) return undefined
  const isOriginal = bytes !== undefined && originalOf(entry)?.equals(bytes) === true
  const state =
    current === undefined ? 'gone' : bytes === undefined ? 'removed' : isOriginal ? 'restored' : 'cut'
  return { path, state, before: current, bytes, entry: undefined }
}

/**
 * Saves the record before it writes a file, so that every change can be undone, even after a crash. What could not be written
 * is taken out of the record again.
 */
export async function applyChanges(
  changes: readonly Change[],
  files: HostFiles,
  record: InstallRecord,
): Promise<void> {
  const before = new Map(changes.map(({ path }) => [path, record.get(path)]))
  for (const { entry } of changes) {
    if (entry === undefined) continue
    const older = before.get(entry.path)?.written ?? []
    await record.put({ ...entry, written: [...new Set([...entry.written, ...older])] })
  }
  await record.save()
  const pending = new Set(changes.map(({ path }) => path))
  try {
    for (const change of changes) {
      await applyChange(change, files, record)
      pending.delete(change.path)
    }
  } finally {
    for (const path of pending) {
      const entry = before.get(path)
      if (entry === undefined) record.delete(path)
      else await record.put(entry)
    }
    await record.save()
  }
}

async function applyChange(
  { path, bytes, entry }: Change,
  files: HostFiles,
  record: InstallRecord,
): Promise<void> {
  if (bytes === undefined) await files.remove(path)
  else if ((await files.read(path))?.equals(bytes) !== true) await files.write(path, bytes)
  if (entry === undefined) record.delete(path)
  else await record.put(entry)
}
