import { BoundedMap } from '../../lib/bounded-map.ts'
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
  /** Those who have not shown who they are, in the order in which they came. */
  readonly unknown: Set<Unknown>
}

interface Unknown {
  /** Sends it away. */
  readonly dismiss: () => void
}

interface Strangers {
  count: number
}

const REMEMBERED = 1024
/** Of an address at which there are members, too, so many times as many strangers are put up with. */
const LENIENCE = 8

/** Counts who is at the door, and says who may not even ask. */
export class Crowd {
  readonly #limits: CrowdLimits
  readonly #addresses = new Map<string, Address>()
  readonly #strangers: BoundedMap<string, Strangers>
  #all = 0
  #unknown = 0

  constructor(limits: CrowdLimits, now: () => number = () => performance.now()) {
    this.#limits = limits
    this.#strangers = new BoundedMap(REMEMBERED, { ttlMs: limits.strangerMs, now })
  }

  /** Undefined: not now. `dismiss` may be called while it has not shown who it is: others need the room more. */
  enter(from: string, dismiss: () => void = () => {}): Guest | undefined {
    const name = network(from)
    const address = this.#addresses.get(name) ?? { all: 0, unknown: new Set() }
    if (this.#isFull(address) || this.#isTiresome(name, address) || !this.#hasRoomFor(address))
      return undefined
    this.#addresses.set(name, address)
    address.all += 1
    this.#all += 1
    this.#unknown += 1
    let isHere = true
    const known = (): void => {
      if (address.unknown.delete(unknown)) this.#unknown -= 1
    }
    const gone = (): void => {
      isHere = false
      known()
      address.all -= 1
      this.#all -= 1
      if (address.all === 0) this.#addresses.delete(name)
    }
    const unknown: Unknown = {
      dismiss: () => {
        gone()
        dismiss()
      },
    }
    address.unknown.add(unknown)
    return {
      known,
      leave: () => {
        if (!isHere) return
        if (address.unknown.has(unknown)) this.#wasStranger(name)
        gone()
      },
    }
  }

  #isFull(address: Address): boolean {
    const { maxConnections, maxPerAddress, maxUnknownPerAddress } = this.#limits
    return (
      this.#all >= maxConnections ||
      address.all >= maxPerAddress ||
      address.unknown.size >= maxUnknownPerAddress
    )
  }

  /** Where all room for the unknown is taken, whoever has waited longest at the address with most of them has to go. */
  #hasRoomFor(address: Address): boolean {
    if (this.#unknown < this.#limits.maxUnknown) return true
    let fullest = address
    for (const other of this.#addresses.values())
      if (other.unknown.size > fullest.unknown.size) fullest = other
    if (fullest === address) return false
    const [oldest] = fullest.unknown
    oldest?.dismiss()
    return oldest !== undefined
  }

  #isTiresome(name: string, { all, unknown }: Address): boolean {
    const strangers = this.#strangers.get(name)
    if (strangers === undefined) return false
    const { maxStrangers } = this.#limits
    return strangers.count >= (all > unknown.size ? LENIENCE * maxStrangers : maxStrangers)
  }

  #wasStranger(name: string): void {
    const strangers = this.#strangers.get(name)
    if (strangers === undefined) this.#strangers.set(name, { count: 1 })
    else strangers.count += 1
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
