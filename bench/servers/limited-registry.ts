import { once } from 'node:events'
import { type FileHandle, open } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { type ByteRange, parseRange } from '../../src/oci/range.ts'
import type { Content } from '../content.ts'
import { hex, REPOSITORY } from './measured-server.ts'

/** How often a connection may send. */
const TICK_MS = 10

/** Serves the content as a registry that limits the rate of each of its connections, and counts what it sends. */
export class LimitedRegistry {
  readonly port: number
  readonly #server: Server
  readonly #content: Content
  readonly #bytesPerSecond: number
  readonly #sent = new Map<string, number>()

  static async start(content: Content, bytesPerSecond: number): Promise<LimitedRegistry> {
    const server = createServer()
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return new LimitedRegistry(server, content, bytesPerSecond)
  }

  private constructor(server: Server, content: Content, bytesPerSecond: number) {
    this.#server = server
    this.#content = content
    this.#bytesPerSecond = bytesPerSecond
    this.port = (server.address() as AddressInfo).port
    server.on('request', (request, response) => {
      this.#answer(request, response).catch(() => response.destroy())
    })
  }

  blobPath(digest: string): string {
    return `/v2/${REPOSITORY}/blobs/${digest}`
  }

  /** How many bytes of this content were sent so far. */
  sent(digest: string): number {
    return this.#sent.get(digest) ?? 0
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    this.#server.close()
    await once(this.#server, 'close')
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const digest = /\/blobs\/(sha256:[0-9a-f]{64})/.exec(request.url ?? '')?.[1]
    if (digest === undefined) return void response.writeHead(200, { 'content-length': 2 }).end('{}')
    const file = await open(join(this.#content.folder, hex(digest)))
    try {
      const { size } = await file.stat()
      const ranges = parseRange(request.headers.range, size)
      const range = ranges.kind === 'single' ? ranges.range : { start: 0, end: size }
      const { start, end } = range
      const partial = { 'content-range': `bytes ${start}-${end - 1}/${size}` }
      response.writeHead(ranges.kind === 'single' ? 206 : 200, {
        'content-length': end - start,
        etag: `"${digest}"`,
        'docker-content-digest': digest,
        ...(ranges.kind === 'single' ? partial : {}),
      })
      if (request.method === 'HEAD') response.end()
      else await this.#send(file, range, digest, response)
    } finally {
      await file.close()
    }
  }

  async #send(
    file: FileHandle,
    { start, end }: ByteRange,
    digest: string,
    response: ServerResponse,
  ): Promise<void> {
    const began = performance.now()
    for (let at = start; at < end && !response.destroyed; ) {
      const due = start + (performance.now() - began + TICK_MS) * (this.#bytesPerSecond / 1000)
      const length = Math.floor(Math.min(end, due) - at)
      if (length > 0) {
        const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(length), 0, length, at)
        at += bytesRead
        this.#sent.set(digest, this.sent(digest) + bytesRead)
        if (!response.write(buffer.subarray(0, bytesRead))) {
          await drained(response)
        }
      }
      if (at < end) await wait(TICK_MS)
    }
    response.end()
  }
}

function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      response.off('drain', done)
      response.off('close', done)
      resolve()
    }
    response.on('drain', done)
    response.on('close', done)
  })
}
