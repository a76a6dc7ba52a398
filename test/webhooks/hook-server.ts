import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TestContext } from 'node:test'
import { addCleanup } from '../../testkit/cleanup.ts'

export interface ReceivedRequest {
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

/** Answers with a status, or as the function does; `hang` never answers. */
type Behaviour = number | 'hang' | ((response: ServerResponse) => void)

/** A receiver of webhooks, which fails on demand. */
export class HookServer {
  readonly requests: ReceivedRequest[] = []
  /** What the next requests get, one after the other; when it is empty, they get 204. */
  readonly next: Behaviour[] = []
  readonly #waiting: { readonly count: number; readonly resolve: () => void }[] = []
  readonly #server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const { url: path = '', headers } = request
      this.requests.push({ path, headers, body: Buffer.concat(chunks).toString() })
      const behaviour = this.next.shift() ?? 204
      if (typeof behaviour === 'function') behaviour(response)
      else if (behaviour !== 'hang') response.writeHead(behaviour).end()
      for (const { count, resolve } of this.#waiting) if (this.requests.length >= count) resolve()
    })
  })

  async start(t: TestContext): Promise<string> {
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
    addCleanup(t, () => {
      this.#server.closeAllConnections()
      this.#server.close()
    })
    const { port } = this.#server.address() as AddressInfo
    return `http://127.0.0.1:${port}/hook?key=very-secret-key`
  }

  /** Resolves when so many requests have come. */
  received(count: number): Promise<void> {
    if (this.requests.length >= count) return Promise.resolve()
    return new Promise((resolve) => {
      this.#waiting.push({ count, resolve })
    })
  }

  /** One field of each CloudEvent received. */
  all(field: string): unknown[] {
    return this.requests.map(({ body }) => (JSON.parse(body) as Record<string, unknown>)[field])
  }
}
