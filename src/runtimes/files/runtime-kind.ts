import type { OriginalFiles } from './original-files.ts'
import type { MirrorSettings, OwnPartRemover, Plan, Runtime } from './plan.ts'

/** One kind of runtime: where its settings are, and how they name mirrors. */
export interface RuntimeKind extends OwnPartRemover {
  readonly runtime: Runtime
  /** The name of the runtime in reports. */
  readonly name: string
  /** Paths of which any shows that the runtime is installed. */
  detectionPaths(mirror: MirrorSettings): readonly string[]
  plan(mirror: MirrorSettings, originals: OriginalFiles): Promise<Plan>
  /** Files that may contain an own part which no install record names. */
  candidatePaths(mirror: MirrorSettings, originals: OriginalFiles): Promise<readonly string[]>
  /** How a running runtime is made to read the changed files; undefined if it reads them at every pull. */
  followUp(changed: readonly string[], originals: OriginalFiles): Promise<string | undefined>
}
