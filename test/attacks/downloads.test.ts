import { abandonConnections, abandonStreams } from '../../testkit/attacks/kinds/downloads.ts'
import { testBoth, withstands } from './attacked-door.ts'

/** Of responses that may hold memory there are 32. */
const LIMITS = { memoryBytes: 2 * 1024 * 1024 }
const TIMES = 48

for (const leaving of ['fin', 'rst', 'cancel', 'vanish'] as const) {
  testBoth(`downloads over HTTP/2 that end with ${leaving} give back all they had`, LIMITS, async (door) => {
    await withstands(door, (options) => abandonStreams(door, { ...options, leaving, times: TIMES }))
  })
}

for (const leaving of ['fin', 'rst', 'vanish'] as const) {
  testBoth(
    `downloads over HTTP/1.1 that end with ${leaving} give back all they had`,
    LIMITS,
    async (door) => {
      await withstands(door, (options) => abandonConnections(door, { ...options, leaving, times: TIMES }))
    },
  )
}
