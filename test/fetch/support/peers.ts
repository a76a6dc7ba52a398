import type { Contributor } from '../../../src/ports/source.ts'
import { type Attempt, ScriptedSource } from '../../../testkit/registries/scripted-source.ts'

type Step = (attempt: Attempt) => Promise<void>

export function peer(name: string, ...steps: Step[]): ScriptedSource {
  return new ScriptedSource(name, steps, 'peer')
}

export function upstream(...steps: Step[]): ScriptedSource {
  return new ScriptedSource('registry', steps)
}

/** A contributor whose name others have too. */
export function contributor(id: string): Contributor {
  return { id, name: 'node' }
}
