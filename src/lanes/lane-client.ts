import { onAbort } from '../lib/async/abort.ts'
import { IdleConnections } from '../lib/http1/idle-connections.ts'
import type { ResponseHead } from '../lib/http1/response-head.ts'
import { Failure } from '../ports/failure.ts'
import type { LaneConnection } from './lane-connection.ts'
import type { SharedSink } from './lent-body.ts'

export interface LaneRequest {
  /** Only a request with the same key may use the same connection. */
  readonly key: string
  /** The head of the request, complete. */
  readonly text: string
  readonly signal: AbortSignal
  /** How long the server may take to begin its response, and the failure if it does not. */
  readonly headMs: number
  readonly late: () => Failure
  /** Opens a connection. It has a deadline of its own. */
  readonly connect: (options: { signal: AbortSignal }) => Promise<LaneConnection>
}

/** Sends GET requests over connections of the lanes, which are used again. */
export class LaneClient {
  readonly #idle: IdleConnections<LaneConnection>
  readonly #busy = new Set<LaneConnection>()
  readonly #closing = new AbortController()

  constructor(idleMs: number) {
    this.#idle = new IdleConnections(idleMs)
  }

  /** How many connections wait for the next request. */
  get idleCount(): number {
    return this.#idle.size
  }

  /**
   * Sends a request and resolves with its response, which the caller must read or discard. Uses a new connection when an idle
   * one turns out to be broken: the server may close it just when it is used again.
   */
  async request(request: LaneRequest): Promise<LaneResponse> {
    const { key, signal } = request
    for (;;) {
      signal.throwIfAborted()
      this.#closing.signal.throwIfAborted()
      const idle = this.#idle.take(key)
      try {
        const connection = idle ?? (await this.#connect(request))
        const head = await this.#awaitHead(connection, request)
        return new LaneResponse(connection, head, () => this.#release(key, connection))
      } catch (error) {
        signal.throwIfAborted()
        if (idle === undefined || idle.hasReceived || error instanceof Failure) throw error
        this.#idle.destroyAllOf(key)
      }
    }
  }

  /** Closes all connections; requests and bodies under way fail with this reason. */
  close(reason: Failure): void {
    this.#closing.abort(reason)
    this.#idle.destroyAll()
    for (const connection of this.#busy) connection.abort(reason)
  }

  async #connect({ connect, signal }: LaneRequest): Promise<LaneConnection> {
    const connection = await connect({ signal: AbortSignal.any([signal, this.#closing.signal]) })
    if (!this.#closing.signal.aborted) return connection
    connection.destroy()
    throw this.#closing.signal.reason
  }

  async #awaitHead(connection: LaneConnection, request: LaneRequest): Promise<ResponseHead> {
    const { text, headMs, late, signal } = request
    this.#busy.add(connection)
    connection.onClosed = () => this.#busy.delete(connection)
    const timer = setTimeout(() => connection.abort(late()), headMs)
    const stop = onAbort(signal, () => connection.abort(signal.reason))
    try {
      return await connection.request(text)
    } catch (error) {
      connection.destroy()
      // The connection may have closed before `onClosed` was set.
      this.#busy.delete(connection)
      throw error
    } finally {
      clearTimeout(timer)
      stop()
    }
  }

  #release(key: string, connection: LaneConnection): void {
    this.#busy.delete(connection)
    if (connection.isReusable && !this.#closing.signal.aborted) this.#idle.add(key, connection)
    else connection.destroy()
  }
}

/** The response to one request. Its body is read or discarded, once. */
export class LaneResponse {
  readonly head: ResponseHead
  readonly #connection: LaneConnection
  readonly #release: () => void
  #isUsed = false

  constructor(connection: LaneConnection, head: ResponseHead, release: () => void) {
    this.#connection = connection
    this.head = head
    this.#release = release
  }

  /** The length of the body; undefined where it is not declared. */
  get length(): number | undefined {
    return this.head.length === 'undeclared' ? undefined : this.head.length
  }

  /** Reads the body, without its first `skip` bytes, into the sink. Rejects with the reason of the signal, or as it failed. */
  async readInto(sink: SharedSink, { skip, signal }: { skip: number; signal: AbortSignal }): Promise<void> {
    const connection = this.#connection
    this.#isUsed = true
    const stop = onAbort(signal, () => connection.abort(signal.reason))
    try {
      signal.throwIfAborted()
      await connection.readBody(sink, skip)
    } catch (error) {
      connection.destroy()
      signal.throwIfAborted()
      throw error
    } finally {
      stop()
      this.#release()
    }
  }

  /** Discards the body, unless it was read. */
  discard(): void {
    if (this.#isUsed) return
    this.#isUsed = true
    if (this.length === undefined) this.#connection.destroy()
    else this.#connection.discardBody()
    this.#release()
  }
}
