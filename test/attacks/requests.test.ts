import { largeHeaders } from '../../testkit/attacks/kinds/headers.ts'
import { endlessBodies, pipelineRequests } from '../../testkit/attacks/kinds/requests.ts'
import { testBoth, withstands } from './attacked-door.ts'

testBoth('clients that send a thousand requests ahead leave the agent serving', {}, async (door) => {
  await withstands(door, (options) => pipelineRequests(door, options))
})

testBoth('requests sent ahead behind a body that nobody reads leave the agent serving', {}, async (door) => {
  await withstands(door, (options) => pipelineRequests(door, { ...options, stalled: true, requests: 60 }))
})

for (const body of ['declared', 'chunked', 'flood'] as const) {
  testBoth(`requests whose bodies do not end (${body}) leave the agent serving`, {}, async (door) => {
    await withstands(door, (options) => endlessBodies(door, { ...options, body }))
  })
}

for (const headers of ['many', 'huge', 'endless'] as const) {
  testBoth(
    `HTTP/1.1 requests with too many headers (${headers}) leave the agent serving`,
    {},
    async (door) => {
      await withstands(door, (options) => largeHeaders(door, { ...options, headers, connections: 20 }))
    },
  )
}
