import { fileURLToPath } from 'node:url'
import type { Place } from './network.ts'
import type { HandSkills } from './programs/machine-program.ts'
import { Remote } from './remote-process.ts'

const PROGRAM = fileURLToPath(new URL('./programs/machine-program.js', import.meta.url))

export type Hand = Remote<HandSkills>

/** A process at that place that does there what it is asked. */
export function handAt(place: Place): Hand {
  return new Remote(place, PROGRAM)
}
