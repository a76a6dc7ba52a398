import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TestContext } from 'node:test'
import { sha256 } from '../../testkit/registries/faulty/content.ts'

export interface SteppedRegistry {
  readonly host: string
  readonly digest: string
  /** Sends the blob up to this position, and stops there. */
  sendUpTo(position: number): void
}

/** Starts a registry with one blob until the end of the test. The test decides how much of the blob each request gets. */
export async function startSteppedRegistry(t: TestContext, blob: Buffer): Promise<SteppedRegistry> {
  const digest = sha256(blob)
  const sent = new Map<ServerResponse, number>()
  let limit = 0
  const send = (): void => {
    for (const [response, position] of sent) {
      response.write(blob.subarray(position, limit))
      sent.set(response, limit)
      if (limit < blob.length) continue
      response.end()
      sent.delete(response)
    }
  }
  const server = createServer((request, response) => {
    if (request.url?.endsWith(`/blobs/${digest}`) !== true) {
      response.end('{}')
      return
    }
    response.writeHead(200, { 'content-length': blob.length, 'docker-content-digest': digest })
    if (request.method === 'HEAD') {
      response.end()
      return
    }
    sent.set(response, 0)
    response.once('close', () => sent.delete(response))
    send()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.close()
    server.closeAllConnections()
  })
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    digest,
    sendUpTo(position) {
      limit = position
      send()
    },
  }
}
