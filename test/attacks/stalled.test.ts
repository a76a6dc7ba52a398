import {
  grantSlowly,
  readSlowly,
  stallConnections,
  stallStreams,
} from '../../testkit/attacks/kinds/stalled.ts'
import { testBoth, withstands } from './attacked-door.ts'

/** Of responses that may hold memory there are 32. */
const LIMITS = { memoryBytes: 2 * 1024 * 1024 }

for (const wanted of ['manifest', 'blob'] as const) {
  testBoth(`streams that take no byte of a ${wanted} leave others theirs`, LIMITS, async (door) => {
    await withstands(door, (options) => stallStreams(door, { ...options, wanted }))
  })

  testBoth(
    `many connections with streams that take no byte of a ${wanted} leave others theirs`,
    LIMITS,
    async (door) => {
      await withstands(door, (options) =>
        stallStreams(door, { ...options, wanted, connections: 8, streams: 100 }),
      )
    },
  )

  testBoth(`connections that read nothing of a ${wanted} leave others theirs`, LIMITS, async (door) => {
    await withstands(door, (options) => stallConnections(door, { ...options, wanted, connections: 60 }))
  })

  testBoth(
    `connections that read a byte a second of a ${wanted} leave others theirs`,
    LIMITS,
    async (door) => {
      await withstands(door, (options) => readSlowly(door, { ...options, wanted, connections: 60 }))
    },
  )

  testBoth(`streams that take a byte a second of a ${wanted} leave others theirs`, LIMITS, async (door) => {
    await withstands(door, (options) => grantSlowly(door, { ...options, wanted, connections: 60 }))
  })
}

testBoth('many pulls beside streams that take no byte all get the right bytes', LIMITS, async (door) => {
  const crowd = { wanted: 'manifest', connections: 8, streams: 100 } as const
  for (let round = 0; round < 3; round++) {
    await withstands(door, (options) => stallStreams(door, { ...options, ...crowd }), { pulls: 12 })
  }
})

testBoth(
  'a connection with more streams that take no byte than there may be leaves others theirs',
  LIMITS,
  async (door) => {
    await withstands(door, (options) =>
      stallStreams(door, { ...options, wanted: 'blob', connections: 1, streams: 252 }),
    )
  },
)

testBoth('connections that read slowly and steadily leave others theirs', LIMITS, async (door) => {
  const pace = { bytes: 1638, everyMs: 100 }
  await withstands(door, (options) => readSlowly(door, { ...options, wanted: 'blob', connections: 60, pace }))
})
