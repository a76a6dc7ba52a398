export interface CrowdLimits {
  readonly maxConnections: number
  /** From one address. Members may share one behind a NAT. */
  readonly maxPerAddress: number
  /** That have not shown yet who they are. */
  readonly maxUnknown: number
  readonly maxUnknownPerAddress: number
  /** After so many in `strangerMs` that could not show who they are, an address is not listened to for the rest of that time. */
  readonly maxStrangers: number
  readonly strangerMs: number
}

/** One connection, counted. */
export interface Guest {
  /** It has shown who it is. */
  known(): void
  /** Once. */
  leave(): void
}

interface Address {
  all: number
  unknown: number
}

interface Strangers {
  count: number
  readonly until: number
}

const REMEMBERED = 1024

/** Counts who is at the door, and says who may not even ask. */
export class Crowd {
  readonly #limits: CrowdLimits
  readonly #now: () => number
  readonly #addresses = new Map<string, Address>()
  readonly #strangers = new Map<string, Strangers>()
  #all = 0
  #unknown = 0

  constructor(limits: CrowdLimits, now: () => number = () => performance.now()) {
    this.#limits = limits
    this.#now = now
  }

  /** Undefined: not now. */
  enter(from: string): Guest | undefined {
    const name = network(from)
    const address = this.#addresses.get(name) ?? { all: 0, unknown: 0 }
    if (this.#isFull(address) || this.#isTiresome(name)) return undefined
    this.#addresses.set(name, address)
    address.all += 1
    address.unknown += 1
    this.#all += 1
    this.#unknown += 1
    let isKnown = false
    const known = (): void => {
      isKnown = true
      address.unknown -= 1
      this.#unknown -= 1
    }
    return {
      known,
      leave: () => {
        if (!isKnown) {
          known()
          this.#wasStranger(name)
        }
        address.all -= 1
        this.#all -= 1
        if (address.all === 0) this.#addresses.delete(name)
      },
    }
  }

  #isFull(address: Address): boolean {
    const limits = this.#limits
    return (
      this.#all >= limits.maxConnections ||
      this.#unknown >= limits.maxUnknown ||
      address.all >= limits.maxPerAddress ||
      address.unknown >= limits.maxUnknownPerAddress
    )
  }

  #isTiresome(name: string): boolean {
    const strangers = this.#strangers.get(name)
    if (strangers === undefined) return false
    if (strangers.until <= this.#now()) {
      this.#strangers.delete(name)
      return false
    }
    return strangers.count >= this.#limits.maxStrangers
  }

  #wasStranger(name: string): void {
    const strangers = this.#strangers.get(name)
    if (strangers !== undefined && strangers.until > this.#now()) {
      strangers.count += 1
      return
    }
    this.#strangers.delete(name)
    for (const oldest of this.#strangers.keys()) {
      if (this.#strangers.size < REMEMBERED) break
      this.#strangers.delete(oldest)
    }
    this.#strangers.set(name, { count: 1, until: this.#now() + this.#limits.strangerMs })
  }
}

/** Whoever has an IPv6 address has all of its /64. */
function network(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)
  if (mapped?.[1] !== undefined) return mapped[1]
  if (!address.includes(':')) return address
  const [left = '', right] = address.split('::')
  const groups = left.split(':').filter((group) => group !== '')
  if (right === undefined) return groups.slice(0, 4).join(':')
  const ending = right.split(':').filter((group) => group !== '')
  const zeros = Array<string>(Math.max(0, 8 - groups.length - ending.length)).fill('0')
  return [...groups, ...zeros, ...ending].slice(0, 4).join(':')
}
