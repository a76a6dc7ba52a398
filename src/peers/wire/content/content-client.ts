import { onAbort } from '../../../lib/async/abort.ts'
import { Http1Connection } from '../../../lib/http1/http1-connection.ts'
import { IdleConnections } from '../../../lib/http1/idle-connections.ts'
import type { ResponseHead } from '../../../lib/http1/response-head.ts'
import { Failure } from '../../../ports/failure.ts'
import type { VouchedIntake, Want } from '../../../ports/source.ts'
import { PEER_PROTOCOL } from '../../identity/member.ts'
import { connectionKeyOf, type MemberAddress, type PeerConnector } from '../connection/connector.ts'
import { type ConnectionResources, failureOfConnection, peerFailure } from '../connection/resources.ts'
import { contentPath } from '../protocol/content-path.ts'
import { LimitedSink } from './limited-sink.ts'
import { failureOfResponse, sizeOfContent } from './response.ts'

export interface ContentClientOptions {
  readonly connector: PeerConnector
  readonly resources: ConnectionResources
  readonly idleMs: number
}

interface Download {
  readonly want: Want
  readonly intake: VouchedIntake
  readonly signal: AbortSignal
  /** How long the member may take to begin its response. */
  readonly ms: number
}

/** Downloads content from other members over HTTP/1.1, on connections that are reused. */
export class ContentClient {
  readonly #options: ContentClientOptions
  readonly #idle: IdleConnections<Http1Connection>
  readonly #busy = new Set<Http1Connection>()
  readonly #closing = new AbortController()

  constructor(options: ContentClientOptions) {
    this.#options = options
    this.#idle = new IdleConnections(options.idleMs)
  }

  /** How many connections wait for the next request. */
  get idleCount(): number {
    return this.#idle.size
  }

  /**
   * Puts what is missing into the intake, from a member which may still be receiving the content itself. Rejects with a
   * `Failure` when the member fails; the bytes that arrived before stay in the intake.
   */
  async download(member: MemberAddress, download: Download): Promise<void> {
    const { signal } = download
    const key = connectionKeyOf(member)
    const connection = await this.#request(key, member, download)
    const stop = onAbort(signal, () => connection.connection.abort(signal.reason))
    try {
      await this.#receive(member, connection, download)
      this.#release(key, connection.connection)
    } catch (error) {
      this.#release(key, connection.connection)
      signal.throwIfAborted()
      throw failureOfConnection(member.name, error)
    } finally {
      stop()
    }
  }

  close(reason: unknown): void {
    this.#closing.abort(reason)
    this.#idle.destroyAll()
    for (const connection of this.#busy) connection.abort(reason)
  }

  /** Sends the request; over a new connection when an idle one turns out to be broken. */
  async #request(key: string, member: MemberAddress, download: Download) {
    const { want, intake, signal } = download
    const text = requestText(want, intake.position)
    for (;;) {
      signal.throwIfAborted()
      const idle = this.#idle.take(key)
      const connection = idle ?? (await this.#connect(member, signal))
      this.#busy.add(connection)
      try {
        return { connection, head: await this.#awaitHead(connection, text, member, download) }
      } catch (error) {
        connection.destroy()
        this.#busy.delete(connection)
        signal.throwIfAborted()
        if (idle === undefined || idle.hasReceived || error instanceof Failure) {
          throw failureOfConnection(member.name, error)
        }
        this.#idle.destroyAllOf(key)
      }
    }
  }

  #connect(member: MemberAddress, signal: AbortSignal): Promise<Http1Connection> {
    this.#closing.signal.throwIfAborted()
    return this.#options.connector.connect(
      member,
      'http/1.1',
      (begin, handshake) => Http1Connection.open(begin, handshake),
      { signal: AbortSignal.any([signal, this.#closing.signal]) },
    )
  }

  async #awaitHead(
    connection: Http1Connection,
    text: string,
    { name }: MemberAddress,
    { signal, ms }: Download,
  ): Promise<ResponseHead> {
    connection.onClosed = () => this.#busy.delete(connection)
    const late = peerFailure(name, `sent nothing within ${ms} ms`)
    const timer = setTimeout(() => connection.abort(late), ms)
    const stop = onAbort(signal, () => connection.abort(signal.reason))
    try {
      return await connection.request(text)
    } finally {
      clearTimeout(timer)
      stop()
    }
  }

  async #receive(
    { id, name }: MemberAddress,
    { connection, head }: { connection: Http1Connection; head: ResponseHead },
    { intake, signal, ms }: Download,
  ): Promise<void> {
    const size = sizeOfContent(head, intake.position)
    if (size === undefined) throw await failureOfResponse(name, connection, head, ms)
    const mediaType = head.headers.get('content-type')
    intake.setContributor({ id, name })
    intake.expect({ size, mediaType })
    const { downloadLimiter: limiter } = this.#options.resources
    const length = size - intake.position
    await connection.readBody(await LimitedSink.open(intake, { length, limiter, signal }), 0)
  }

  #release(key: string, connection: Http1Connection): void {
    this.#busy.delete(connection)
    if (connection.isReusable && !this.#closing.signal.aborted) this.#idle.add(key, connection)
    else connection.destroy()
  }
}

function requestText(want: Want, from: number): string {
  const range = from === 0 ? [] : [`range: bytes=${from}-`]
  const lines = [
    `GET ${contentPath(want)} HTTP/1.1`,
    'host: peer',
    `peer-protocol: ${PEER_PROTOCOL}`,
    ...range,
  ]
  return `${lines.join('\r\n')}\r\n\r\n`
}
