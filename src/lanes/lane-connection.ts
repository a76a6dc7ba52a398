import { HttpHeaders } from '../lib/http1/headers.ts'
import type { ResponseHead } from '../lib/http1/response-head.ts'
import { asSharedSink } from './copying-sink.ts'
import { LentBody, type SharedSink } from './lent-body.ts'
import type {
  ConnectionCommand,
  ConnectionReport,
  LaneTarget,
  PostedError,
  TlsServerFacts,
} from './thread/messages.ts'

/** A lane that has not let go of lent memory after this time hangs, and is ended. */
const CLOSE_MS = 10_000

/** What a connection needs of its lane. */
export interface LaneOfConnection {
  post(command: ConnectionCommand): void
  /** The connection is used, or idle: it waits for another request and does not keep the lane. */
  setIdle(isIdle: boolean): void
  /** The connection is gone. */
  onClosed(): void
  /** Ends the lane, because it does not obey. */
  stop(): void
}

interface Pending {
  /** What the lane has to report for `resolve`. */
  readonly resolve: (value: ResponseHead | undefined) => void
  readonly reject: (error: unknown) => void
}

/**
 * The main thread's side of one HTTP/1.1 connection of a lane. It has the methods of `Http1Connection`, which is the lane's
 * side, and carries one request at a time. While a body is read, the sink's memory is lent to the lane: a failure is reported
 * only when the lane does not touch it any more.
 */
export class LaneConnection {
  readonly #number: number
  readonly #lane: LaneOfConnection
  #pending: Pending | undefined
  #head: Extract<ConnectionReport, { is: 'head' }> | undefined
  #body: LentBody | undefined
  #isReusable = false
  #isBodyRead = false
  #requests = 0
  #hasReceived = false
  #isClosing = false
  #isClosed = false
  /** Why this side has closed the connection. */
  #reason: unknown
  #closeTimer: NodeJS.Timeout | undefined
  #server: TlsServerFacts | undefined
  /** Called once when the connection closes for any reason. */
  onClosed: (() => void) | undefined
  /** Called with each TLS session that the server gives, when the lane has presented a certificate to it. */
  onTlsSession: ((session: Uint8Array) => void) | undefined

  constructor(number: number, lane: LaneOfConnection) {
    this.#number = number
    this.#lane = lane
  }

  /** Whether a byte has come since the last request was sent. Without one, the request can be sent again elsewhere. */
  get hasReceived(): boolean {
    return this.#hasReceived
  }

  /** Whether the last response is complete and another request may be sent. */
  get isReusable(): boolean {
    return this.#isReusable && !this.#isClosing
  }

  /** The server, when the lane has presented a certificate to it. */
  get server(): TlsServerFacts | undefined {
    return this.#server
  }

  async connect(target: LaneTarget): Promise<void> {
    await this.#ask({ do: 'connect', connection: this.#number, target })
  }

  /** The connection is idle until the next request, and lets the process exit. */
  unref(): void {
    if (!this.#isClosed) this.#lane.setIdle(true)
  }

  destroy(): void {
    this.abort(new Error('the connection was dropped'))
  }

  /** Closes the connection; a pending request or body fails with this reason. */
  abort(reason: unknown): void {
    if (this.#isClosed) this.#reject(reason)
    if (this.#isClosing) return
    this.#isClosing = true
    this.#reason = reason
    this.#lane.post({ do: 'close', connection: this.#number })
    // Only lent memory is worth waiting for.
    if (this.#body === undefined) this.#reject(reason)
    else this.#closeTimer = setTimeout(() => this.#lane.stop(), CLOSE_MS).unref()
  }

  /**
   * Sends the head of a request and resolves with the head of its response. The caller then calls `readBody`,
   * `discardBody` or `destroy`.
   */
  async request(text: string): Promise<ResponseHead> {
    this.#lane.setIdle(false)
    this.#isReusable = false
    this.#requests += 1
    this.#hasReceived = false
    const head = await this.#ask({ do: 'request', connection: this.#number, head: text })
    if (head === undefined) throw new Error('the lane has answered without a head')
    return head
  }

  /** Reads the body, without its first `skip` bytes, into the sink. Rejects when the body ends early. */
  async readBody(sink: SharedSink, skip: number): Promise<void> {
    const length = this.#head?.length
    if (length === undefined || length === 'undeclared') throw new Error('there is no body to read')
    const connection = this.#number
    const body = new LentBody(asSharedSink(sink), Math.max(0, length - skip), {
      lend: (memory) => this.#lane.post({ do: 'lend', connection, memory }),
      onTaken: () => this.#endBody(),
      onError: (error) => this.abort(error),
    })
    this.#body = body
    this.#isBodyRead = false
    try {
      await this.#ask({ do: 'read', connection, skip, memory: body.pieces() })
    } finally {
      body.end()
      this.#body = undefined
    }
  }

  /** Discards a body that has come completely. Otherwise closes the connection, which is cheaper than reading the rest. */
  discardBody(): void {
    const { isBodyHere = false, keepsAlive = false } = this.#head ?? {}
    if (!isBodyHere) {
      this.destroy()
      return
    }
    this.#lane.post({ do: 'discard', connection: this.#number })
    this.#isReusable = keepsAlive
  }

  receive(report: ConnectionReport): void {
    if (report.is === 'closed') {
      this.#hasReceived ||= report.hasReceived && report.requests === this.#requests
      this.#close(errorOf(report.error))
    } else if (report.is === 'session') this.onTlsSession?.(report.session)
    // What the lane has read before it closes is kept: the next attempt continues after it.
    else if (report.is === 'filled') this.#body?.filled(report.length)
    else if (this.#isClosing) return
    else if (report.is === 'connected') {
      this.#server = report.server
      this.#resolve(undefined)
    } else if (report.is === 'head') this.#takeHead(report)
    else {
      this.#isBodyRead = true
      this.#isReusable = report.isReusable
      this.#endBody()
    }
  }

  laneDied(error: Error): void {
    this.#close(error)
  }

  #ask(command: ConnectionCommand): Promise<ResponseHead | undefined> {
    return new Promise((resolve, reject) => {
      if (this.#isClosing) return reject(this.#reason)
      this.#pending = { resolve, reject }
      this.#lane.post(command)
    })
  }

  #takeHead(report: Extract<ConnectionReport, { is: 'head' }>): void {
    const { status, headers, length, keepsAlive } = report
    this.#hasReceived = true
    this.#head = report
    this.#resolve({ status, headers: new HttpHeaders(headers), length, keepsAlive })
  }

  /** The sink may be full when the lane has read the last bytes. */
  #endBody(): void {
    if (this.#isBodyRead && this.#body?.isComplete === true) this.#resolve(undefined)
  }

  #close(error: unknown): void {
    if (this.#isClosed) return
    this.#isClosed = true
    clearTimeout(this.#closeTimer)
    const reason = this.#isClosing ? this.#reason : error
    // A body that has come completely is still passed to the sink, which may have to make room for it.
    const isBodyHere = this.#isBodyRead && this.#body !== undefined && !this.#isClosing
    this.#isClosing = true
    this.#reason = reason
    if (!isBodyHere) this.#reject(reason)
    this.#lane.onClosed()
    this.onClosed?.()
  }

  #resolve(value: ResponseHead | undefined): void {
    const pending = this.#pending
    this.#pending = undefined
    pending?.resolve(value)
  }

  #reject(error: unknown): void {
    const pending = this.#pending
    this.#pending = undefined
    pending?.reject(error)
  }
}

function errorOf({ code, message }: PostedError): Error {
  const error = new Error(message)
  return code === undefined ? error : Object.assign(error, { code })
}
