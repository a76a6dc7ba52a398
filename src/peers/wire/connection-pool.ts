import type { PeerConnection } from './connection/connection.ts'

export interface ConnectionPoolLimits {
  readonly idleMs: number
  readonly maxIdlePerMember: number
  readonly maxIdle: number
}

interface IdleConnection {
  readonly connection: PeerConnection
  readonly timer: NodeJS.Timeout
  readonly removeListener: () => void
}

/** Keeps connections open for the next exchange with the same member. */
export class ConnectionPool {
  readonly #limits: ConnectionPoolLimits
  readonly #idle = new Map<string, Set<IdleConnection>>()
  #size = 0

  constructor(limits: ConnectionPoolLimits) {
    this.#limits = limits
  }

  get size(): number {
    return this.#size
  }

  /** Takes over a connection. Closes it when the pool has enough of them. */
  add(key: string, connection: PeerConnection): void {
    const { idleMs, maxIdlePerMember, maxIdle } = this.#limits
    const ofMember = this.#idle.get(key) ?? new Set()
    if (ofMember.size >= maxIdlePerMember || this.#size >= maxIdle) {
      connection.close(connection.failure('enough idle connections are open'))
      return
    }
    const timer = setTimeout(
      () => connection.close(connection.failure('the connection was idle for too long')),
      idleMs,
    )
    timer.unref()
    const idle: IdleConnection = {
      connection,
      timer,
      removeListener: connection.onClose(() => this.#remove(key, idle)),
    }
    ofMember.add(idle)
    this.#idle.set(key, ofMember)
    this.#size += 1
    connection.unref()
  }

  /** Gives the connection of that key that was used last, because it is the least likely to be broken. */
  take(key: string): PeerConnection | undefined {
    const idle = [...(this.#idle.get(key) ?? [])].at(-1)
    if (idle === undefined) return undefined
    this.#remove(key, idle)
    idle.connection.ref()
    return idle.connection
  }

  /** Closes the idle connections of one key, or all of them. */
  closeIdle(key?: string): void {
    const keys = key === undefined ? [...this.#idle.keys()] : [key]
    for (const one of keys) {
      for (const { connection } of [...(this.#idle.get(one) ?? [])]) {
        connection.close(connection.failure('the idle connection is no longer needed'))
      }
    }
  }

  #remove(key: string, idle: IdleConnection): void {
    clearTimeout(idle.timer)
    idle.removeListener()
    const ofMember = this.#idle.get(key)
    if (ofMember?.delete(idle) !== true) return
    this.#size -= 1
    if (ofMember.size === 0) this.#idle.delete(key)
  }
}
