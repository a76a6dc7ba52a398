interface Lock {
  /** How many hold the lock shared; -1: one holds it exclusively. */
  holders: number
  readonly waiting: { readonly isShared: boolean; readonly enter: () => void }[]
}

/**
 * Locks by name. Many may hold a lock shared at a time, or one exclusively. They enter in the order in which they have asked, so
 * that neither kind can keep the other one out.
 */
export class SharedLocks {
  readonly #locks = new Map<string, Lock>()

  /** How many locks are held. */
  get size(): number {
    return this.#locks.size
  }

  shared<Result>(name: string, work: () => Promise<Result>): Promise<Result> {
    return this.#use(name, true, work)
  }

  exclusive<Result>(name: string, work: () => Promise<Result>): Promise<Result> {
    return this.#use(name, false, work)
  }

  async #use<Result>(name: string, isShared: boolean, work: () => Promise<Result>): Promise<Result> {
    let lock = this.#locks.get(name)
    if (lock === undefined) {
      lock = { holders: 0, waiting: [] }
      this.#locks.set(name, lock)
    }
    const { waiting } = lock
    if (waiting.length === 0 && isFree(lock, isShared)) take(lock, isShared)
    else await new Promise<void>((enter) => waiting.push({ isShared, enter }))
    try {
      return await work()
    } finally {
      lock.holders = isShared ? lock.holders - 1 : 0
      for (let [next] = waiting; next !== undefined && isFree(lock, next.isShared); [next] = waiting) {
        waiting.shift()
        take(lock, next.isShared)
        next.enter()
      }
      if (lock.holders === 0) this.#locks.delete(name)
    }
  }
}

function isFree({ holders }: Lock, isShared: boolean): boolean {
  return holders === 0 || (isShared && holders > 0)
}

function take(lock: Lock, isShared: boolean): void {
  lock.holders = isShared ? lock.holders + 1 : -1
}
