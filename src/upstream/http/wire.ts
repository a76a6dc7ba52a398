import type { SecureContext } from 'node:tls'
import { onAbort } from '../../lib/async/abort.ts'
import { BoundedMap } from '../../lib/bounded-map.ts'
import { Failure } from '../../ports/failure.ts'
import type { Intake } from '../../ports/source.ts'
import type { Lookup } from '../options/scoped-lookup.ts'
import type { Exchange, Reply, ReplyBody, Request } from './exchange.ts'
import { failureOf, tooLate, tooLong } from './exchange-failure.ts'
import { WireConnection, type WireTarget } from './wire-connection.ts'
import type { WireHead } from './wire-head.ts'

const IDLE_MS = 30_000
const IDLE_EACH = 8
const IDLE_ALL = 64
const REMEMBERED_ORIGINS = 256

export interface WireOptions {
  readonly secureContext: SecureContext | undefined
  readonly rejectUnauthorized: boolean
  readonly connectMs: number
  readonly headerMs: number
  readonly lookup?: Lookup | undefined
  /** Sends the request again when the length of the body is not declared. */
  readonly fallback: Exchange
  readonly idleMs?: number
}

interface Idle {
  readonly connection: WireConnection
  readonly timer: NodeJS.Timeout
}

function requestHead(request: Request): string {
  const { url, headers } = request
  const lines = [`${request.method} ${url.pathname}${url.search} HTTP/1.1`, `host: ${url.host}`]
  for (const [name, value] of Object.entries(headers)) {
    // A value with a line break would start another header.
    if (/[^\t\x20-\x7e]/.test(value)) throw new Failure('unavailable', `header ${name} cannot be sent`)
    lines.push(`${name}: ${value}`)
  }
  return `${lines.join('\r\n')}\r\n\r\n`
}

/** Sends GET requests for blobs over its own sockets; `WireConnection` says why. */
export class Wire {
  readonly #options: WireOptions
  readonly #idle = new Map<string, Idle[]>()
  readonly #busy = new Set<WireConnection>()
  /** Origins that do not declare the length of their bodies. */
  readonly #undeclared = new BoundedMap<string, true>(REMEMBERED_ORIGINS)
  #idleCount = 0
  #closed = false

  constructor(options: WireOptions) {
    this.#options = options
  }

  readonly exchange: Exchange = async (request) => {
    const { url } = request
    if (request.method !== 'GET' || this.#undeclared.has(url.origin)) return this.#options.fallback(request)
    const key = `${url.origin} ${request.scopeLimit}`
    const { connection, head } = await this.#ask(key, request)
    const good = head.status === 200 || head.status === 206
    if (good && head.length === 'undeclared') {
      connection.destroy()
      this.#undeclared.set(url.origin, true)
      return this.#options.fallback(request)
    }
    const body = new WireBody(connection, head, request, () => this.#release(key, connection))
    return { status: head.status, headers: head.headers, body } satisfies Reply
  }

  close(): void {
    this.#closed = true
    for (const list of this.#idle.values()) for (const { connection } of [...list]) connection.destroy()
    for (const connection of this.#busy) connection.destroy()
  }

  async #ask(key: string, request: Request): Promise<{ connection: WireConnection; head: WireHead }> {
    const text = requestHead(request)
    for (;;) {
      request.signal.throwIfAborted()
      const idle = this.#takeIdle(key)
      let connection = idle
      try {
        connection ??= await this.#connect(request)
        return { connection, head: await this.#answer(connection, text, request) }
      } catch (error) {
        request.signal.throwIfAborted()
        // The server may close an idle connection just when it is reused, so a new connection is worth a try.
        if (idle !== undefined && !idle.heard && !(error instanceof Failure)) {
          for (const stale of [...(this.#idle.get(key) ?? [])]) stale.connection.destroy()
          continue
        }
        throw failureOf(error, request.url)
      }
    }
  }

  async #connect(request: Request): Promise<WireConnection> {
    if (this.#closed) throw new Failure('stopping', 'the agent is stopping')
    const { secureContext, rejectUnauthorized, connectMs, lookup } = this.#options
    const { url, scopeLimit } = request
    const target: WireTarget = { url, scopeLimit, lookup, secureContext, rejectUnauthorized }
    const deadline = AbortSignal.timeout(connectMs)
    let connection: WireConnection
    try {
      connection = await WireConnection.open(target, { signal: AbortSignal.any([request.signal, deadline]) })
    } catch (error) {
      if (!deadline.aborted || request.signal.aborted) throw error
      throw tooLate(request.url, 'no connection', connectMs)
    }
    this.#busy.add(connection)
    connection.onDeath = () => this.#busy.delete(connection)
    return connection
  }

  async #answer(connection: WireConnection, text: string, request: Request): Promise<WireHead> {
    const { headerMs } = this.#options
    const timer = setTimeout(() => connection.abort(tooLate(request.url, 'no answer', headerMs)), headerMs)
    const stop = onAbort(request.signal, () => connection.abort(request.signal.reason))
    try {
      return await connection.ask(text)
    } catch (error) {
      connection.destroy()
      throw error
    } finally {
      clearTimeout(timer)
      stop()
    }
  }

  #takeIdle(key: string): WireConnection | undefined {
    const entry = this.#idle.get(key)?.at(-1)
    if (entry === undefined) return undefined
    this.#forgetIdle(key, entry)
    this.#busy.add(entry.connection)
    entry.connection.onDeath = () => this.#busy.delete(entry.connection)
    return entry.connection
  }

  #release(key: string, connection: WireConnection): void {
    this.#busy.delete(connection)
    const list = this.#idle.get(key) ?? []
    if (!connection.reusable || this.#closed || list.length >= IDLE_EACH || this.#idleCount >= IDLE_ALL) {
      connection.destroy()
      return
    }
    const timer = setTimeout(() => connection.destroy(), this.#options.idleMs ?? IDLE_MS)
    timer.unref()
    const entry = { connection, timer }
    connection.onDeath = () => this.#forgetIdle(key, entry)
    connection.rest()
    list.push(entry)
    this.#idle.set(key, list)
    this.#idleCount += 1
  }

  #forgetIdle(key: string, entry: Idle): void {
    clearTimeout(entry.timer)
    const list = this.#idle.get(key)
    const index = list?.indexOf(entry) ?? -1
    if (list === undefined || index < 0) return
    list.splice(index, 1)
    this.#idleCount -= 1
    if (list.length === 0) this.#idle.delete(key)
  }
}

class WireBody implements ReplyBody {
  readonly length: number | undefined
  readonly #connection: WireConnection
  readonly #request: Request
  readonly #release: () => void
  #used = false

  constructor(connection: WireConnection, head: WireHead, request: Request, release: () => void) {
    this.length = head.length === 'undeclared' ? undefined : head.length
    this.#connection = connection
    this.#request = request
    this.#release = release
  }

  async readInto(intake: Intake, { skip, limit }: { skip: number; limit: number }): Promise<void> {
    const { signal, url } = this.#request
    this.#used = true
    const stop = onAbort(signal, () => this.#connection.abort(signal.reason))
    try {
      signal.throwIfAborted()
      if (this.length !== undefined && this.length - skip > limit) throw tooLong(url, limit)
      await this.#connection.readBody(intake, skip)
      this.#release()
    } catch (error) {
      this.#connection.destroy()
      if (signal.aborted) throw signal.reason
      throw failureOf(error, url)
    } finally {
      stop()
    }
  }

  dispose(): void {
    if (this.#used) return
    this.#used = true
    this.#connection.dismiss()
    this.#release()
  }
}
