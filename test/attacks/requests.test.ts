import { largeHeaders } from '../../testkit/attacks/kinds/headers.ts'
import { endlessBodies, pipelineRequests } from '../../testkit/attacks/kinds/requests.ts'
import { assertWithstands, testPlainAndTls } from './attacked-server.ts'

testPlainAndTls('the server serves others while clients pipeline a thousand requests', {}, async (server) => {
  await assertWithstands(server, (options) => pipelineRequests(server, options))
})

testPlainAndTls(
  'the server serves others while requests are pipelined behind a body that is not read',
  {},
  async (server) => {
    await assertWithstands(server, (options) =>
      pipelineRequests(server, { ...options, stalled: true, requests: 60 }),
    )
  },
)

for (const body of ['declared', 'chunked', 'flood'] as const) {
  testPlainAndTls(
    `the server serves others during requests with endless bodies (${body})`,
    {},
    async (server) => {
      await assertWithstands(server, (options) => endlessBodies(server, { ...options, body }))
    },
  )
}

for (const headers of ['many', 'huge', 'endless'] as const) {
  testPlainAndTls(
    `the server serves others during HTTP/1.1 requests with excessive headers (${headers})`,
    {},
    async (server) => {
      await assertWithstands(server, (options) =>
        largeHeaders(server, { ...options, headers, connections: 20 }),
      )
    },
  )
}
