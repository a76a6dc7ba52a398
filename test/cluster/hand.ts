import { fileURLToPath } from 'node:url'
import type { HandSkills } from './hand-program.ts'
import type { Place } from './network.ts'
import { Remote } from './remote.ts'

const PROGRAM = fileURLToPath(new URL('./hand-program.js', import.meta.url))

export type Hand = Remote<HandSkills>

/** A process at that place that does there what it is asked. */
export function handAt(place: Place): Hand {
  return new Remote(place, PROGRAM)
}
