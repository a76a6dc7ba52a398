import type { Change, FileState } from './changes.ts'
import type { OriginalFiles } from './files/original-files.ts'
import type { Runtime } from './files/plan.ts'
import type { RuntimeKind } from './files/runtime-kind.ts'

export interface FileReport {
  readonly path: string
  readonly state: FileState
}

export interface RuntimeReport {
  readonly runtime: Runtime
  readonly name: string
  readonly files: readonly FileReport[]
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
  options: Pick<RuntimeReport, 'todo' | 'notes' | 'pointsHere' | 'byOthers'> & {
    readonly originals: OriginalFiles
  },
): Promise<RuntimeReport> {
  const { originals, ...rest } = options
  const changed = changes
    .filter(({ state }) => state !== 'current' && state !== 'gone')
    .map(({ path }) => path)
  return {
    runtime: kind.runtime,
    name: kind.name,
    files: changes.map(({ path, state }) => ({ path, state })),
    ...rest,
    followUp: await kind.followUp(changed, originals),
    failure: undefined,
  }
}

export function failureReport({ runtime, name }: RuntimeKind, failure: string): RuntimeReport {
  return {
    runtime,
    name,
    files: [],
    todo: [],
    notes: [],
    byOthers: [],
    pointsHere: false,
    followUp: undefined,
    failure,
  }
}
