/** Bounds the idle connections of one key. Pulls of several layers, and ranges of one, reuse them; more would only occupy sockets. */
const MOST_PER_KEY = 16
/** Bounds the idle connections of all keys, because clients may name any number of servers. */
const MOST_IDLE = 64

/** A connection that can wait for another request. */
export interface ReusableConnection {
  /** Called once when the connection closes for any reason. */
  onClosed: (() => void) | undefined
  /** Lets the process exit while the connection is idle. */
  unref(): void
  destroy(): void
}

interface IdleConnection<Connection> {
  readonly connection: Connection
  readonly timer: NodeJS.Timeout
}

/** Connections that wait for another request, by a key: only a request with the same key may use a connection. */
export class IdleConnections<Connection extends ReusableConnection> {
  readonly #idleMs: number
  readonly #byKey = new Map<string, IdleConnection<Connection>[]>()
  #count = 0

  constructor(idleMs: number) {
    this.#idleMs = idleMs
  }

  get size(): number {
    return this.#count
  }

  /** Removes and returns the connection of this key that was used last. */
  take(key: string): Connection | undefined {
    const entry = this.#byKey.get(key)?.at(-1)
    if (entry === undefined) return undefined
    this.#remove(key, entry)
    return entry.connection
  }

  /** Keeps a connection until `take`, until it has been idle for too long, or until its server closes it. */
  add(key: string, connection: Connection): void {
    const list = this.#byKey.get(key) ?? []
    if (list.length >= MOST_PER_KEY || this.#count >= MOST_IDLE) {
      connection.destroy()
      return
    }
    const timer = setTimeout(() => connection.destroy(), this.#idleMs)
    timer.unref()
    const entry = { connection, timer }
    connection.onClosed = () => this.#remove(key, entry)
    connection.unref()
    list.push(entry)
    this.#byKey.set(key, list)
    this.#count += 1
  }

  destroyAllOf(key: string): void {
    for (const { connection } of [...(this.#byKey.get(key) ?? [])]) connection.destroy()
  }

  destroyAll(): void {
    for (const key of [...this.#byKey.keys()]) this.destroyAllOf(key)
  }

  #remove(key: string, entry: IdleConnection<Connection>): void {
    clearTimeout(entry.timer)
    const list = this.#byKey.get(key)
    const index = list?.indexOf(entry) ?? -1
    if (list === undefined || index < 0) return
    list.splice(index, 1)
    this.#count -= 1
    if (list.length === 0) this.#byKey.delete(key)
  }
}
