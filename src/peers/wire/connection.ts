import type { TLSSocket } from 'node:tls'
import type { RateLimiter } from '../../lib/async/rate-limiter.ts'
import { errorCode } from '../../lib/error-code.ts'
import { Failure } from '../../ports/failure.ts'
import type { RemoteIdentity } from '../identity/credentials.ts'
import type { MemberId } from '../identity/member.ts'
import { Inbound } from './frame-receiver.ts'
import type { Pieces } from './send-buffers.ts'

/** For messages and their frames: more than this is not kept for somebody who does not read. */
const BACKLOG = 1024 * 1024
const TCP_KEEPALIVE_MS = 15_000

/** What all connections of a node share. */
export interface Traffic {
  readonly upload: RateLimiter
  readonly download: RateLimiter
  readonly pieces: Pieces
  /** How long somebody may take for one piece of what it asked for. */
  readonly stallMs: number
  /** How long the other side may take to see that an exchange is over. */
  readonly lingerMs: number
}

export interface Partner {
  /** For people. */
  readonly name: string
  readonly id: MemberId
}

export interface ConnectionOptions {
  readonly who: string
  readonly member: Partner | undefined
  readonly shown: RemoteIdentity
  readonly traffic: Traffic
}

/** One TLS connection with another agent, over which exchanges follow one another. */
export class Connection {
  readonly who: string
  readonly member: Partner | undefined
  readonly shown: RemoteIdentity
  readonly traffic: Traffic
  readonly inbound: Inbound
  #socket: TLSSocket | undefined
  /** Content that waits to be written. */
  #pieceBytes = 0
  #failure: { readonly reason: unknown } | undefined
  readonly #mourners = new Set<(reason: unknown) => void>()

  constructor({ who, member, shown, traffic }: ConnectionOptions) {
    this.who = who
    this.member = member
    this.shown = shown
    this.traffic = traffic
    this.inbound = new Inbound({
      who,
      pace: traffic.download,
      resume: () => this.#socket?.resume(),
      broke: (reason) => this.die(reason),
    })
  }

  /** For the options of `connect`: the kernel's bytes go where they belong without a stream in between. */
  get onread() {
    const { inbound } = this
    return {
      buffer: () => inbound.room(),
      callback: (length: number) => {
        inbound.filled(length)
        return !inbound.isBlocked
      },
    }
  }

  /** To be called in the same turn in which the socket was made. */
  attach(socket: TLSSocket): void {
    this.#socket = socket
    socket.setNoDelay(true)
    socket.setKeepAlive(true, TCP_KEEPALIVE_MS)
    socket.on('error', (error) => this.die(this.failure(errorCode(error) ?? error.message, error)))
    socket.on('end', () => this.die(this.failure('the connection ended')))
    socket.on('close', () => this.die(this.failure('the connection was closed')))
  }

  /** Reads as streams are read, where `onread` cannot be had. */
  listen(socket: TLSSocket): void {
    socket.on('data', (bytes: Buffer) => {
      this.inbound.hear(bytes)
      if (this.inbound.isBlocked) socket.pause()
    })
  }

  get isAlive(): boolean {
    return this.#failure === undefined
  }

  /** Why it is no more. */
  get reason(): unknown {
    return this.#failure?.reason
  }

  onDeath(mourn: (reason: unknown) => void): () => void {
    this.#mourners.add(mourn)
    return () => this.#mourners.delete(mourn)
  }

  failure(what: string, cause?: unknown): Failure {
    return new Failure('unavailable', `${this.who}: ${what}`, { source: this.who, cause })
  }

  /** A frame of its own memory. */
  say(frame: Uint8Array): void {
    if (this.#failure !== undefined) throw this.#failure.reason
    const socket = this.#socket
    if (socket === undefined) throw new Error('nobody is connected')
    if (socket.writableLength + frame.length > BACKLOG + this.#pieceBytes) {
      const failure = new Failure('stalled', `${this.who}: does not listen`, { source: this.who })
      this.die(failure)
      throw failure
    }
    socket.write(frame)
  }

  /** Content, in memory that is used again. */
  write(bytes: Uint8Array, done: () => void): void {
    const socket = this.#socket
    if (socket === undefined || this.#failure !== undefined) {
      done()
      return
    }
    this.#pieceBytes += bytes.length
    socket.write(bytes, () => {
      this.#pieceBytes -= bytes.length
      done()
    })
  }

  /** While it rests it does not keep the process running. */
  rest(): void {
    this.#socket?.unref()
  }

  wake(): void {
    this.#socket?.ref()
  }

  die(reason: unknown): void {
    if (this.#failure !== undefined) return
    this.#failure = { reason }
    this.#socket?.destroy()
    this.inbound.close(reason)
    for (const mourn of [...this.#mourners]) mourn(reason)
    this.#mourners.clear()
  }
}
