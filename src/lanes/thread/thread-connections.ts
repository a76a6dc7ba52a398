import { TLSSocket } from 'node:tls'
import { type ConnectSocket, Http1Connection } from '../../lib/http1/http1-connection.ts'
import { connectSocket, factsOf, type TlsContext, tlsContextOf } from './connect-socket.ts'
import { LentMemory } from './lent-memory.ts'
import type { ConnectionCommand, LaneTarget, LaneTls } from './messages.ts'
import { post, postedError } from './post.ts'

/** The connections of a lane, as its thread knows them. */
export class ThreadConnections {
  readonly #connections = new Map<number, ThreadConnection>()
  readonly #tls = new Map<number, LaneTls>()
  readonly #contexts = new Map<number, TlsContext>()

  obey(command: ConnectionCommand): void {
    if (command.do === 'tls') {
      this.#tls.set(command.tls, command.settings)
      return
    }
    const { connection: number } = command
    if (command.do === 'connect') {
      const connection = new ThreadConnection(number, () => this.#connections.delete(number))
      this.#connections.set(number, connection)
      const { target } = command
      connection.connect(target, () => this.#contextOf(target))
      return
    }
    // A command for a connection that has closed meanwhile crosses the report of that.
    const connection = this.#connections.get(number)
    if (command.do === 'request') connection?.request(command.head)
    else if (command.do === 'read') connection?.read(command.memory, command.skip)
    else if (command.do === 'lend') connection?.lend(command.memory)
    else if (command.do === 'discard') connection?.discard()
    else connection?.close()
  }

  /** Reads the certificates of settings once. Throws where they cannot be used. */
  #contextOf({ tls }: LaneTarget): TlsContext | undefined {
    const settings = tls === undefined ? undefined : this.#tls.get(tls)
    if (tls === undefined || settings === undefined) return undefined
    const context = this.#contexts.get(tls) ?? tlsContextOf(settings)
    this.#contexts.set(tls, context)
    return context
  }
}

/** One connection, which reports what becomes of each command, and at last that it has closed. */
class ThreadConnection {
  readonly #number: number
  readonly #onClosed: () => void
  readonly #connecting = new AbortController()
  #connection: Http1Connection | undefined
  #memory: LentMemory | undefined
  #requests = 0
  #isClosed = false

  constructor(number: number, onClosed: () => void) {
    this.#number = number
    this.#onClosed = onClosed
  }

  connect(target: LaneTarget, contextOf: () => TlsContext | undefined): void {
    const { signal } = this.#connecting
    void this.#reportingFailure(async () => {
      const tls = contextOf()
      const begin = connectSocket(target, tls)
      let mutual: TLSSocket | undefined
      const connect: ConnectSocket = (onread) => {
        const socket = begin(onread)
        if (tls?.isMutual === true && socket instanceof TLSSocket) mutual = socket
        mutual?.on('session', (session) => post({ is: 'session', connection: this.#number, session }))
        return socket
      }
      const connection = await Http1Connection.open(connect, { signal })
      // The reason of a failure reaches whoever waits for it first.
      connection.onClosed = () => setImmediate(() => this.#closed(new Error('the connection was closed')))
      this.#connection = connection
      post({ is: 'connected', connection: this.#number, server: mutual && factsOf(mutual) })
    })
  }

  request(text: string): void {
    const connection = this.#connection
    void this.#reportingFailure(async () => {
      if (connection === undefined) return
      this.#requests += 1
      const { status, headers, length, keepsAlive } = await connection.request(text)
      const { isBodyHere } = connection
      const head = { status, headers: headers.pairs(), length, keepsAlive, isBodyHere }
      post({ is: 'head', connection: this.#number, ...head })
    })
  }

  read(pieces: readonly Uint8Array[], skip: number): void {
    const connection = this.#connection
    void this.#reportingFailure(async () => {
      if (connection === undefined) return
      const memory = new LentMemory(pieces, (length) =>
        post({ is: 'filled', connection: this.#number, length }),
      )
      this.#memory = memory
      await connection.readBody(memory, skip)
      memory.flush()
      this.#memory = undefined
      post({ is: 'bodyRead', connection: this.#number, isReusable: connection.isReusable })
    })
  }

  lend(pieces: readonly Uint8Array[]): void {
    this.#memory?.lend(pieces)
  }

  discard(): void {
    this.#connection?.discardBody()
    // The main thread takes the connection for reusable by what its head said, and more may have come.
    if (this.#connection?.isReusable === false) this.close()
  }

  close(): void {
    this.#connecting.abort()
    this.#connection?.destroy()
    this.#closed(new Error('the connection was dropped'))
  }

  async #reportingFailure(step: () => Promise<void>): Promise<void> {
    try {
      await step()
    } catch (error) {
      this.#closed(error)
    }
  }

  #closed(error: unknown): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#connecting.abort()
    this.#connection?.destroy()
    this.#memory?.flush()
    this.#memory = undefined
    this.#onClosed()
    const hasReceived = this.#connection?.hasReceived === true
    const requests = this.#requests
    post({ is: 'closed', connection: this.#number, requests, hasReceived, error: postedError(error) })
  }
}
