import type { Cutter, Plan, Runtime, Wanted } from './plan.ts'
import type { Present } from './present.ts'

/** One kind of runtime: where its settings are and what they look like. */
export interface Kind extends Cutter {
  readonly runtime: Runtime
  /** As people call it. */
  readonly name: string
  /** Any of these on a host says that it is there. */
  signs(wanted: Wanted): readonly string[]
  plan(wanted: Wanted, present: Present): Promise<Plan>
  /** Files in which something of ours may be that nobody remembers. */
  places(wanted: Wanted, present: Present): Promise<readonly string[]>
  /** What has to be told to a running one, after these files have changed; undefined: it reads them at every pull. */
  followUp(changed: readonly string[], present: Present): Promise<string | undefined>
}
