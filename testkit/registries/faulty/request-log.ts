import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import { isFor } from './faults.ts'
import type { Progress } from './progress.ts'

/** The registry itself, or the second server to which it redirects. */
export type Origin = 'registry' | 'storage'

export interface Recorded {
  readonly origin: Origin
  readonly method: string
  /** With the query. */
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: string
  /** The number of the request's connection: 0, 1, ... in the order in which they were opened. */
  readonly connection: number
}

export interface Transfer {
  readonly digest: string
  readonly from: number
  to: number | undefined
}

/** What was requested, and what was sent. */
export class RequestLog {
  readonly requests: Recorded[] = []
  readonly transfers: Transfer[] = []
  readonly #progress: Progress
  readonly #sent = new Map<string, number>()
  readonly #connections = new WeakMap<object, number>()
  #nextConnection = 0

  constructor(progress: Progress) {
    this.#progress = progress
  }

  addConnection(socket: object): void {
    this.#connections.set(socket, this.#nextConnection)
    this.#nextConnection += 1
  }

  addRequest(request: IncomingMessage, body: string, origin: Origin): void {
    const { method = '', url: path = '', headers, socket } = request
    const connection = this.#connections.get(socket) ?? -1
    this.requests.push({ origin, method, path, headers, body, connection })
    this.#progress.changed()
  }

  addTransfer(digest: string): Transfer {
    const transfer: Transfer = { digest, from: performance.now(), to: undefined }
    this.transfers.push(transfer)
    return transfer
  }

  addSent(digest: string, bytes: number): void {
    this.#sent.set(digest, this.bytesSent(digest) + bytes)
  }

  bytesSent(digest: string): number {
    return this.#sent.get(digest) ?? 0
  }

  count(target: string, method?: string): number {
    return this.requests.filter(
      (request) => isFor(request.path, target) && (method === undefined || request.method === method),
    ).length
  }
}
