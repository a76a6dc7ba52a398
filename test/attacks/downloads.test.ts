import { abandonConnections, abandonStreams } from '../../testkit/attacks/kinds/downloads.ts'
import { assertWithstands, testPlainAndTls } from './attacked-server.ts'

/** A pool of 2 MiB has 32 send slots. */
const LIMITS = { memoryBytes: 2 * 1024 * 1024 }
const DOWNLOADS = 48

for (const disconnect of ['fin', 'rst', 'cancel', 'vanish'] as const) {
  testPlainAndTls(
    `HTTP/2 downloads that end with ${disconnect} free everything they used`,
    LIMITS,
    async (server) => {
      await assertWithstands(server, (options) =>
        abandonStreams(server, { ...options, disconnect, times: DOWNLOADS }),
      )
    },
  )
}

for (const disconnect of ['fin', 'rst', 'vanish'] as const) {
  testPlainAndTls(
    `HTTP/1.1 downloads that end with ${disconnect} free everything they used`,
    LIMITS,
    async (server) => {
      await assertWithstands(server, (options) =>
        abandonConnections(server, { ...options, disconnect, times: DOWNLOADS }),
      )
    },
  )
}
