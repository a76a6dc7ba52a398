import type { Change, FileState } from './changes.ts'
import type { OriginalFiles } from './files/original-files.ts'
import type { Runtime } from './files/plan.ts'
import type { RuntimeKind } from './files/runtime-kind.ts'
import { lineDiff } from './line-diff.ts'

export interface FileReport {
  readonly path: string
  readonly state: FileState
  /** The lines that would be removed and added; only in the report of a dry run. */
  readonly diff?: string
}

export interface RuntimeReport {
  readonly runtime: Runtime
  readonly name: string
  readonly files: readonly FileReport[]
  /** Whether an install has written settings of the runtime, for this address or another. */
  readonly isInstalled: boolean
  /** Whether the runtime asks the agent first; undefined after an uninstall. */
  readonly pointsHere: boolean | undefined
  /** The registries for which others have added the agent as a mirror. */
  readonly byOthers: readonly string[]
  /** What the operator must do before the runtime uses the agent. */
  readonly todo: readonly string[]
  readonly notes: readonly string[]
  /** How a running runtime is made to read its settings; undefined if it needs nothing. */
  readonly followUp: string | undefined
  /** Why the operation failed for this runtime. */
  readonly failure: string | undefined
}

export async function reportOf(
  kind: RuntimeKind,
  changes: readonly Change[],
  options: Pick<RuntimeReport, 'todo' | 'notes' | 'pointsHere' | 'byOthers' | 'isInstalled'> & {
    readonly originals: OriginalFiles
    readonly withDiff: boolean
  },
): Promise<RuntimeReport> {
  const { originals, withDiff, ...rest } = options
  const changed = changes
    .filter(({ state }) => state !== 'current' && state !== 'gone')
    .map(({ path }) => path)
  return {
    runtime: kind.runtime,
    name: kind.name,
    files: changes.map((change) => fileReport(change, withDiff)),
    ...rest,
    followUp: await kind.followUp(changed, originals),
    failure: undefined,
  }
}

function fileReport({ path, state, before, bytes }: Change, withDiff: boolean): FileReport {
  const diff = withDiff ? lineDiff(String(before ?? ''), String(bytes ?? '')) : ''
  return { path, state, ...(diff === '' ? {} : { diff }) }
}

export function failureReport({ runtime, name }: RuntimeKind, failure: string): RuntimeReport {
  return {
    runtime,
    name,
    files: [],
    isInstalled: false,
    todo: [],
    notes: [],
    byOthers: [],
    pointsHere: false,
    followUp: undefined,
    failure,
  }
}
