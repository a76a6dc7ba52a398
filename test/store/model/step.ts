import type { fc } from '../../../testkit/property-runs.ts'
import type { Model } from './model.ts'
import type { TestedStore } from './tested-store.ts'

/** One operation on both stores. Any operation is possible at any time. */
export abstract class Step implements fc.AsyncCommand<Model, TestedStore> {
  check(): boolean {
    return true
  }

  abstract run(model: Model, real: TestedStore): Promise<void>

  /** The step as fast-check prints it. */
  abstract toString(): string
}
