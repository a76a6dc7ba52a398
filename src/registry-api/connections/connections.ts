import type { Socket } from 'node:net'
import type { Client } from './client.ts'
import { FairShare, type ShareUser } from './fair-share.ts'
import type { ReportRejection } from './rejections.ts'

/** One accepted connection of a client. */
export interface Connection {
  readonly socket: Socket
  readonly client: Client
  /** How many answers are under way on the connection. */
  answersUnderWay: number
  /** When the last answer on the connection ended, or when the connection was accepted. */
  idleSince: number
  /** The remote address and port, which the TLS socket of a connection shares with its TCP socket. */
  readonly remoteEndpoint: string
}

export interface ConnectionLimits {
  readonly total: number
  readonly perAddress: number
  readonly reservedForLocal: number
}

/** Every open connection. When there are too many, an idle connection is closed first. */
export class Connections {
  readonly #reservedForLocal: number
  readonly #share: FairShare
  readonly #clientOf: (remoteAddress: string | undefined) => Client
  readonly #reportRejection: ReportRejection
  readonly #onClosed: () => void
  readonly #bySocket = new Map<Socket, Connection>()
  readonly #byRemoteEndpoint = new Map<string, Connection>()
  readonly #byTlsSocket = new WeakMap<Socket, Connection>()

  constructor(
    limits: ConnectionLimits,
    options: {
      clientOf: (remoteAddress: string | undefined) => Client
      reportRejection: ReportRejection
      onClosed: () => void
    },
  ) {
    this.#clientOf = options.clientOf
    this.#reservedForLocal = limits.reservedForLocal
    this.#share = new FairShare({ ...limits, perConnection: 1 })
    this.#reportRejection = options.reportRejection
    this.#onClosed = options.onClosed
  }

  get size(): number {
    return this.#bySocket.size
  }

  sockets(): readonly Socket[] {
    return [...this.#bySocket.keys()]
  }

  /** Returns false, and closes the socket, when there are too many connections. */
  accept(socket: Socket): boolean {
    const connection: Connection = {
      socket,
      client: this.#clientOf(socket.remoteAddress),
      answersUnderWay: 0,
      idleSince: performance.now(),
      remoteEndpoint: remoteEndpointOf(socket),
    }
    const user = { client: connection.client, connection: socket }
    if (!this.#share.mayTake(user)) {
      this.#reportRejection('connections')
      this.#closeLongestIdle(user)
      if (!this.#share.mayTake(user)) {
        socket.destroy()
        return false
      }
    }
    this.#share.take(user)
    this.#bySocket.set(socket, connection)
    this.#byRemoteEndpoint.set(connection.remoteEndpoint, connection)
    socket.once('close', () => {
      this.#remove(connection)
      this.#onClosed()
    })
    return true
  }

  /** The connection of a request. The socket of a TLS request is not the accepted TCP socket. */
  find(socket: Socket): Connection | undefined {
    const known = this.#bySocket.get(socket) ?? this.#byTlsSocket.get(socket)
    if (known !== undefined) return known
    const connection = this.#byRemoteEndpoint.get(remoteEndpointOf(socket))
    if (connection !== undefined) this.#byTlsSocket.set(socket, connection)
    return connection
  }

  /** Closes, of the address that has the most connections, the one that has been idle for longest. */
  #closeLongestIdle(newcomer: ShareUser): void {
    const isAtAddressLimit = this.#share.isAtAddressLimit(newcomer)
    // Connections of local clients beyond their reserved part may be closed for a remote client.
    const mayCloseLocal = this.#share.isFull && this.#share.takenByLocal > this.#reservedForLocal
    let chosen: Connection | undefined
    for (const connection of this.#bySocket.values()) {
      const { client, answersUnderWay } = connection
      if (answersUnderWay > 0) continue
      if (isAtAddressLimit && client.address !== newcomer.client.address) continue
      if (client.isLocal && !newcomer.client.isLocal && !mayCloseLocal) continue
      if (chosen === undefined || this.#isClosedBefore(connection, chosen)) chosen = connection
    }
    if (chosen === undefined) return
    this.#remove(chosen)
    chosen.socket.destroy()
  }

  #isClosedBefore(one: Connection, other: Connection): boolean {
    const [taken, takenByOther] = [this.#share.takenBy(one.client), this.#share.takenBy(other.client)]
    if (taken !== takenByOther) return taken > takenByOther
    return one.idleSince < other.idleSince
  }

  #remove(connection: Connection): void {
    const { socket, client, remoteEndpoint } = connection
    if (!this.#bySocket.delete(socket)) return
    if (this.#byRemoteEndpoint.get(remoteEndpoint) === connection)
      this.#byRemoteEndpoint.delete(remoteEndpoint)
    this.#share.release({ client, connection: socket })
  }
}

function remoteEndpointOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`
}
