import type { Socket } from 'node:net'
import type { Client } from './client.ts'
import { FairShare, type Holder } from './fair-share.ts'
import type { Reject } from './rejections.ts'

/** One connection of a client, as accepted. */
export interface Connection {
  readonly socket: Socket
  readonly client: Client
  /** Answers under way on it. */
  answers: number
  /** When its last answer ended, or it was accepted. */
  idleSince: number
  /** Its other end, by which TLS' own socket is found to belong to it. */
  readonly peer: string
}

export interface ConnectionLimits {
  readonly total: number
  readonly perAddress: number
  readonly forLocal: number
}

/** Every open connection. When there are too many, those that are idle go first. */
export class Connections {
  readonly #forLocal: number
  readonly #share: FairShare
  readonly #clientOf: (remoteAddress: string | undefined) => Client
  readonly #reject: Reject
  readonly #onClosed: () => void
  readonly #bySocket = new Map<Socket, Connection>()
  readonly #byPeer = new Map<string, Connection>()
  readonly #hidden = new WeakMap<Socket, Connection>()

  constructor(
    limits: ConnectionLimits,
    options: {
      clientOf: (remoteAddress: string | undefined) => Client
      reject: Reject
      onClosed: () => void
    },
  ) {
    this.#clientOf = options.clientOf
    this.#forLocal = limits.forLocal
    this.#share = new FairShare({ ...limits, perConnection: 1 })
    this.#reject = options.reject
    this.#onClosed = options.onClosed
  }

  get size(): number {
    return this.#bySocket.size
  }

  sockets(): readonly Socket[] {
    return [...this.#bySocket.keys()]
  }

  /** False when there is no room for it: it is closed then. */
  accept(socket: Socket): boolean {
    const connection: Connection = {
      socket,
      client: this.#clientOf(socket.remoteAddress),
      answers: 0,
      idleSince: performance.now(),
      peer: peerOf(socket),
    }
    const holder = { client: connection.client, connection: socket }
    if (!this.#share.mayTake(holder)) {
      this.#reject('connections')
      this.#dropIdlest(holder)
      if (!this.#share.mayTake(holder)) {
        socket.destroy()
        return false
      }
    }
    this.#share.take(holder)
    this.#bySocket.set(socket, connection)
    this.#byPeer.set(connection.peer, connection)
    socket.once('close', () => {
      this.#forget(connection)
      this.#onClosed()
    })
    return true
  }

  /** The connection that a request came over, which TLS hides behind a socket of its own. */
  of(socket: Socket): Connection | undefined {
    const known = this.#bySocket.get(socket) ?? this.#hidden.get(socket)
    if (known !== undefined) return known
    const connection = this.#byPeer.get(peerOf(socket))
    if (connection !== undefined) this.#hidden.set(socket, connection)
    return connection
  }

  /** Of the address that holds the most, the one that has been idle for longest. */
  #dropIdlest(newcomer: Holder): void {
    const isGreedy = this.#share.isGreedy(newcomer)
    // What clients on this machine hold beyond their part is for whoever comes.
    const mayTakeLocal = this.#share.isFull && this.#share.heldOnThisMachine > this.#forLocal
    let found: Connection | undefined
    for (const connection of this.#bySocket.values()) {
      const { client, answers } = connection
      if (answers > 0) continue
      if (isGreedy && client.address !== newcomer.client.address) continue
      if (client.isLocal && !newcomer.client.isLocal && !mayTakeLocal) continue
      if (found === undefined || this.#goesBefore(connection, found)) found = connection
    }
    if (found === undefined) return
    this.#forget(found)
    found.socket.destroy()
  }

  #goesBefore(one: Connection, other: Connection): boolean {
    const [held, heldByOther] = [this.#share.heldBy(one.client), this.#share.heldBy(other.client)]
    if (held !== heldByOther) return held > heldByOther
    return one.idleSince < other.idleSince
  }

  #forget(connection: Connection): void {
    const { socket, client, peer } = connection
    if (!this.#bySocket.delete(socket)) return
    if (this.#byPeer.get(peer) === connection) this.#byPeer.delete(peer)
    this.#share.giveBack({ client, connection: socket })
  }
}

function peerOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`
}
