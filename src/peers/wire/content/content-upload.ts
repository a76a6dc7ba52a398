import { setMaxListeners } from 'node:events'
import type { ServerResponse } from 'node:http'
import type { Content } from '../../../ports/content.ts'
import { Failure, type FailureCode } from '../../../ports/failure.ts'
import type { RemoteIdentity } from '../../identity/credentials.ts'
import {
  type ConnectionResources,
  type KnownMember,
  peerFailure,
  type RemotePeer,
} from '../connection/resources.ts'
import type { ContentRequest } from '../protocol/content-path.ts'
import { refusedMessage } from '../protocol/messages.ts'
import { PeerStalled, uploadContent } from './upload.ts'

const STATUS: Partial<Record<FailureCode, number>> = {
  absent: 404,
  denied: 403,
  unlisted: 403,
  'too-large': 413,
  busy: 503,
  stopping: 503,
}

/** One request of a peer for a content, and the response to it. */
export class ContentUpload implements RemotePeer {
  readonly request: ContentRequest
  readonly #response: ServerResponse
  readonly #peer: RemotePeer
  readonly #resources: ConnectionResources
  readonly #closed = new AbortController()
  /** The releases of the buffers that the socket still writes. */
  readonly #unsent = new Set<() => void>()

  constructor(
    request: ContentRequest,
    response: ServerResponse,
    peer: RemotePeer,
    resources: ConnectionResources,
  ) {
    this.request = request
    this.#response = response
    this.#peer = peer
    this.#resources = resources
    setMaxListeners(0, this.#closed.signal)
    response.once('close', () => this.#onClose())
    response.on('error', () => {})
  }

  get member(): KnownMember | undefined {
    return this.#peer.member
  }

  get remoteIdentity(): RemoteIdentity {
    return this.#peer.remoteIdentity
  }

  get peerName(): string {
    return this.#peer.peerName
  }

  /** Is aborted when the connection is closed before the response has ended. */
  get closed(): AbortSignal {
    return this.#closed.signal
  }

  /**
   * Sends the content from the requested offset to its end as it becomes readable, within the upload limit. When the content
   * fails on the way, the connection is closed, which the peer sees as a body that is too short.
   */
  async send(content: Content): Promise<void> {
    const { from } = this.request
    const { size } = content
    if (from > 0 && from >= size) {
      this.#respond(416, { 'content-range': `bytes */${size}`, ...typeOf(content), 'content-length': 0 })
      this.#response.end()
      return
    }
    const range = from === 0 ? {} : { 'content-range': `bytes ${from}-${size - 1}/${size}` }
    this.#respond(from === 0 ? 200 : 206, { ...range, ...typeOf(content), 'content-length': size - from })
    this.#response.flushHeaders()
    try {
      await this.#upload(content, from)
      this.#response.end()
    } catch (error) {
      this.destroy()
      throw error instanceof PeerStalled ? error.failure : error
    }
  }

  /** Tells the peer why it does not get the content. When the response has begun already, closes the connection. */
  refuse(error: unknown): void {
    if (this.#response.headersSent || this.closed.aborted) {
      this.destroy()
      return
    }
    const code = error instanceof Failure ? error.code : 'unavailable'
    const body = Buffer.from(`${JSON.stringify(refusedMessage(error))}\n`)
    this.#respond(STATUS[code] ?? 502, { 'content-type': 'application/json', 'content-length': body.length })
    this.#response.end(body)
  }

  destroy(): void {
    this.#response.destroy()
  }

  #respond(status: number, headers: Record<string, string | number>): void {
    this.#response.writeHead(status, { ...headers, 'accept-ranges': 'bytes' })
  }

  #upload(content: Content, from: number): Promise<void> {
    const { sendBuffers, uploadLimiter, stallMs } = this.#resources
    const { peerName, remoteIdentity } = this
    return uploadContent(content, from, {
      peerName,
      receiverKey: remoteIdentity.id ?? remoteIdentity.fingerprint,
      sendBuffers,
      limiter: uploadLimiter,
      stallMs,
      signal: this.closed,
      write: (bytes, done) => this.#write(bytes, done),
    })
  }

  /** Node forgets the callback of a write when the connection is closed at the wrong moment, so `#onClose` calls it too. */
  #write(bytes: Uint8Array, done: () => void): void {
    if (this.closed.aborted) {
      done()
      return
    }
    const release = (): void => {
      if (this.#unsent.delete(release)) done()
    }
    this.#unsent.add(release)
    this.#response.write(bytes, release)
  }

  #onClose(): void {
    const isComplete = this.#response.writableFinished
    if (!isComplete) this.#closed.abort(peerFailure(this.peerName, 'the connection was closed'))
    for (const release of [...this.#unsent]) release()
  }
}

function typeOf({ mediaType }: Content): Record<string, string> {
  return mediaType === undefined ? {} : { 'content-type': mediaType }
}
