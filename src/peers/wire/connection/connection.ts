import type { TLSSocket } from 'node:tls'
import type { RateLimiter } from '../../../lib/async/rate-limiter.ts'
import { errorCode } from '../../../lib/error-code.ts'
import { Failure } from '../../../ports/failure.ts'
import type { RemoteIdentity } from '../../identity/credentials.ts'
import type { MemberId } from '../../identity/member.ts'
import { FrameReceiver } from './frame-receiver.ts'
import type { SendBuffers } from './send-buffers.ts'

/** Bounds the unsent messages of one connection, content not counted. A peer that leaves more unread is disconnected. */
const MAX_UNSENT_MESSAGE_BYTES = 1024 * 1024
const TCP_KEEPALIVE_MS = 15_000

/** The limits and the memory that all connections of a node share. */
export interface ConnectionResources {
  readonly uploadLimiter: RateLimiter
  readonly downloadLimiter: RateLimiter
  readonly sendBuffers: SendBuffers
  /** How long a peer may take to read one buffer of the content that it has asked for. */
  readonly stallMs: number
  /** How long a peer may take to end an exchange that this node has ended. */
  readonly lingerMs: number
}

/** The other end of a connection, as membership knows it. */
export interface KnownMember {
  /** Users see this name. */
  readonly name: string
  readonly id: MemberId
}

export interface PeerConnectionOptions {
  /** Users see this name. */
  readonly peerName: string
  readonly member: KnownMember | undefined
  readonly remoteIdentity: RemoteIdentity
  readonly resources: ConnectionResources
}

/** One TLS connection with another agent. It carries one exchange after the other. */
export class PeerConnection {
  readonly peerName: string
  readonly member: KnownMember | undefined
  readonly remoteIdentity: RemoteIdentity
  readonly resources: ConnectionResources
  readonly receiver: FrameReceiver
  #socket: TLSSocket | undefined
  /** How many bytes of content the socket has not written yet. */
  #unsentContentBytes = 0
  #closed: { readonly reason: unknown } | undefined
  readonly #closeListeners = new Set<(reason: unknown) => void>()

  constructor({ peerName, member, remoteIdentity, resources }: PeerConnectionOptions) {
    this.peerName = peerName
    this.member = member
    this.remoteIdentity = remoteIdentity
    this.resources = resources
    this.receiver = new FrameReceiver({
      peerName,
      limiter: resources.downloadLimiter,
      reading: { pause: () => this.#socket?.pause(), resume: () => this.#socket?.resume() },
      onBroken: (reason) => this.close(reason),
    })
  }

  /** The `onread` option of `connect`: the kernel writes received bytes where they belong, without a stream in between. */
  get onread() {
    const { receiver } = this
    return {
      buffer: () => receiver.buffer(),
      callback: (length: number) => {
        receiver.filled(length)
        return !receiver.isBlocked
      },
    }
  }

  /** Must be called in the turn of the event loop in which the socket was created, or its first events are lost. */
  attach(socket: TLSSocket): void {
    this.#socket = socket
    socket.setNoDelay(true)
    socket.setKeepAlive(true, TCP_KEEPALIVE_MS)
    socket.on('error', (error) => this.close(this.failure(errorCode(error) ?? error.message, error)))
    socket.on('end', () => this.close(this.failure('the connection ended')))
    socket.on('close', () => this.close(this.failure('the connection was closed')))
  }

  /** Reads the socket as a stream. A server needs it, because accepted sockets have no `onread`. */
  readFrom(socket: TLSSocket): void {
    socket.on('data', (bytes: Buffer) => {
      this.receiver.receiveBytes(bytes)
      if (this.receiver.isBlocked) socket.pause()
    })
  }

  get isOpen(): boolean {
    return this.#closed === undefined
  }

  /** Why the connection was closed. */
  get closeReason(): unknown {
    return this.#closed?.reason
  }

  /** Gives back the function that removes the listener. */
  onClose(listener: (reason: unknown) => void): () => void {
    this.#closeListeners.add(listener)
    return () => this.#closeListeners.delete(listener)
  }

  failure(message: string, cause?: unknown): Failure {
    return new Failure('unavailable', `${this.peerName}: ${message}`, { source: this.peerName, cause })
  }

  /** Sends a frame whose memory is not used again. Throws when the connection is closed. */
  sendFrame(frame: Uint8Array): void {
    if (this.#closed !== undefined) throw this.#closed.reason
    const socket = this.#socket
    if (socket === undefined) throw new Error('the connection has no socket')
    if (socket.writableLength + frame.length > MAX_UNSENT_MESSAGE_BYTES + this.#unsentContentBytes) {
      const failure = new Failure('stalled', `${this.peerName}: does not read its messages`, {
        source: this.peerName,
      })
      this.close(failure)
      throw failure
    }
    socket.write(frame)
  }

  /** Sends content in a buffer that is used again. Calls `done` when the buffer is free, also when the connection is closed. */
  sendContent(bytes: Uint8Array, done: () => void): void {
    const socket = this.#socket
    if (socket === undefined || this.#closed !== undefined) {
      done()
      return
    }
    this.#unsentContentBytes += bytes.length
    socket.write(bytes, () => {
      this.#unsentContentBytes -= bytes.length
      done()
    })
  }

  /** Lets the process end while this connection is idle. */
  unref(): void {
    this.#socket?.unref()
  }

  ref(): void {
    this.#socket?.ref()
  }

  close(reason: unknown): void {
    if (this.#closed !== undefined) return
    this.#closed = { reason }
    this.#socket?.destroy()
    this.receiver.close(reason)
    for (const listener of [...this.#closeListeners]) listener(reason)
    this.#closeListeners.clear()
  }
}
