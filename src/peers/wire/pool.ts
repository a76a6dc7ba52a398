import type { Connection } from './connection.ts'

export interface PoolLimits {
  readonly idleMs: number
  readonly idleEach: number
  readonly idleAll: number
}

interface Idle {
  readonly connection: Connection
  readonly timer: NodeJS.Timeout
  readonly stop: () => void
}

/** Connections that wait for the next exchange. */
export class Pool {
  readonly #limits: PoolLimits
  readonly #idle = new Map<string, Set<Idle>>()
  #count = 0

  constructor(limits: PoolLimits) {
    this.#limits = limits
  }

  get size(): number {
    return this.#count
  }

  put(key: string, connection: Connection): void {
    const { idleMs, idleEach, idleAll } = this.#limits
    const kept = this.#idle.get(key) ?? new Set()
    if (kept.size >= idleEach || this.#count >= idleAll) {
      connection.die(connection.failure('is not needed now'))
      return
    }
    const timer = setTimeout(() => connection.die(connection.failure('was not used')), idleMs)
    timer.unref()
    const idle: Idle = { connection, timer, stop: connection.onDeath(() => this.#forget(key, idle)) }
    kept.add(idle)
    this.#idle.set(key, kept)
    this.#count += 1
    connection.rest()
  }

  /** The one that was used last. */
  take(key: string): Connection | undefined {
    const idle = [...(this.#idle.get(key) ?? [])].at(-1)
    if (idle === undefined) return undefined
    this.#forget(key, idle)
    idle.connection.wake()
    return idle.connection
  }

  /** All of one member, or all there are. */
  drop(key?: string): void {
    const keys = key === undefined ? [...this.#idle.keys()] : [key]
    for (const one of keys) {
      for (const { connection } of [...(this.#idle.get(one) ?? [])]) {
        connection.die(connection.failure('is not needed any more'))
      }
    }
  }

  #forget(key: string, idle: Idle): void {
    clearTimeout(idle.timer)
    idle.stop()
    const kept = this.#idle.get(key)
    if (kept?.delete(idle) !== true) return
    this.#count -= 1
    if (kept.size === 0) this.#idle.delete(key)
  }
}
