import {
  openWindowsSlowly,
  readSlowly,
  stallConnections,
  stallStreams,
} from '../../testkit/attacks/kinds/stalled.ts'
import { assertWithstands, testPlainAndTls } from './attacked-server.ts'

/** A pool of 2 MiB has 32 send slots. */
const LIMITS = { memoryBytes: 2 * 1024 * 1024 }

for (const content of ['manifest', 'blob'] as const) {
  testPlainAndTls(
    `HTTP/2 streams that take no byte of a ${content} do not block other clients`,
    LIMITS,
    async (server) => {
      await assertWithstands(server, (options) => stallStreams(server, { ...options, content }))
    },
  )

  testPlainAndTls(
    `many HTTP/2 connections whose streams take no byte of a ${content} do not block other clients`,
    LIMITS,
    async (server) => {
      await assertWithstands(server, (options) =>
        stallStreams(server, { ...options, content, connections: 8, streams: 100 }),
      )
    },
  )

  testPlainAndTls(
    `HTTP/1.1 connections that read nothing of a ${content} do not block other clients`,
    LIMITS,
    async (server) => {
      await assertWithstands(server, (options) =>
        stallConnections(server, { ...options, content, connections: 60 }),
      )
    },
  )

  testPlainAndTls(
    `HTTP/1.1 connections that read one byte per second of a ${content} do not block other clients`,
    LIMITS,
    async (server) => {
      await assertWithstands(server, (options) =>
        readSlowly(server, { ...options, content, connections: 60 }),
      )
    },
  )

  testPlainAndTls(
    `HTTP/2 streams that take one byte per second of a ${content} do not block other clients`,
    LIMITS,
    async (server) => {
      await assertWithstands(server, (options) =>
        openWindowsSlowly(server, { ...options, content, connections: 60 }),
      )
    },
  )
}

testPlainAndTls(
  'many clients get the right bytes while HTTP/2 streams take no byte',
  LIMITS,
  async (server) => {
    const attack = { content: 'manifest', connections: 8, streams: 100 } as const
    for (let round = 0; round < 3; round++) {
      await assertWithstands(server, (options) => stallStreams(server, { ...options, ...attack }), {
        pulls: 12,
      })
    }
  },
)

testPlainAndTls(
  'one connection with more stalled streams than allowed does not block other clients',
  LIMITS,
  async (server) => {
    await assertWithstands(server, (options) =>
      stallStreams(server, { ...options, content: 'blob', connections: 1, streams: 252 }),
    )
  },
)

testPlainAndTls(
  'connections that read steadily at 16 KiB per second do not block other clients',
  LIMITS,
  async (server) => {
    const rate = { bytes: 1638, everyMs: 100 }
    await assertWithstands(server, (options) =>
      readSlowly(server, { ...options, content: 'blob', connections: 60, rate }),
    )
  },
)
