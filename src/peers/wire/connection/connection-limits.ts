import { BoundedMap } from '../../../lib/bounded-map.ts'

export interface ConnectionLimitOptions {
  readonly maxConnections: number
  /** Several members may share one address behind a NAT. */
  readonly maxPerAddress: number
  /** How many connections may be in the TLS handshake at the same time. */
  readonly maxUnauthenticated: number
  readonly maxUnauthenticatedPerAddress: number
  /** After this many failed handshakes within `failureWindowMs`, an address is refused for the rest of that time. */
  readonly maxFailures: number
  readonly failureWindowMs: number
}

/** One admitted connection, which counts towards the limits until it is closed. */
export interface CountedConnection {
  /** Says that the handshake has succeeded. */
  authenticated(): void
  /** Must be called once. */
  closed(): void
}

interface AddressConnections {
  count: number
  /** The connections in the handshake, oldest first. */
  readonly unauthenticated: Set<UnauthenticatedConnection>
}

interface UnauthenticatedConnection {
  readonly evict: () => void
}

interface Failures {
  count: number
}

/** Bounds the memory for failed handshakes. A flood from more addresses than this is limited by `maxUnauthenticated`. */
const MAX_REMEMBERED_ADDRESSES = 1024
/**
 * An address that also has authenticated connections may fail this many times as often: one NAT may hide members and
 * strangers.
 */
const MEMBER_ADDRESS_FACTOR = 8

/** Counts the connections to the peer server, and refuses those beyond the limits before their handshake. */
export class ConnectionLimits {
  readonly #limits: ConnectionLimitOptions
  readonly #addresses = new Map<string, AddressConnections>()
  readonly #failures: BoundedMap<string, Failures>
  #count = 0
  #unauthenticatedCount = 0

  constructor(limits: ConnectionLimitOptions, now: () => number = () => performance.now()) {
    this.#limits = limits
    this.#failures = new BoundedMap(MAX_REMEMBERED_ADDRESSES, { ttlMs: limits.failureWindowMs, now })
  }

  /**
   * Admits a connection, or refuses it with undefined. `evict` may be called while the connection is unauthenticated, to
   * make room for one from another address; the connection is no longer counted then.
   */
  admit(remoteAddress: string, evict: () => void = () => {}): CountedConnection | undefined {
    const network = networkOf(remoteAddress)
    const address = this.#addresses.get(network) ?? { count: 0, unauthenticated: new Set() }
    if (this.#isFull(address) || this.#hasFailedTooOften(network, address) || !this.#makeRoomFor(address))
      return undefined
    this.#addresses.set(network, address)
    address.count += 1
    this.#count += 1
    this.#unauthenticatedCount += 1
    let isCounted = true
    const authenticated = (): void => {
      if (address.unauthenticated.delete(unauthenticated)) this.#unauthenticatedCount -= 1
    }
    const uncount = (): void => {
      isCounted = false
      authenticated()
      address.count -= 1
      this.#count -= 1
      if (address.count === 0) this.#addresses.delete(network)
    }
    const unauthenticated: UnauthenticatedConnection = {
      evict: () => {
        uncount()
        evict()
      },
    }
    address.unauthenticated.add(unauthenticated)
    return {
      authenticated,
      closed: () => {
        if (!isCounted) return
        if (address.unauthenticated.has(unauthenticated)) this.#countFailure(network)
        uncount()
      },
    }
  }

  #isFull(address: AddressConnections): boolean {
    const { maxConnections, maxPerAddress, maxUnauthenticatedPerAddress } = this.#limits
    return (
      this.#count >= maxConnections ||
      address.count >= maxPerAddress ||
      address.unauthenticated.size >= maxUnauthenticatedPerAddress
    )
  }

  /**
   * At `maxUnauthenticated`, the address with the most unauthenticated connections loses its oldest one. A flood then
   * evicts its own connections, and members still get in.
   */
  #makeRoomFor(address: AddressConnections): boolean {
    if (this.#unauthenticatedCount < this.#limits.maxUnauthenticated) return true
    let fullest = address
    for (const other of this.#addresses.values())
      if (other.unauthenticated.size > fullest.unauthenticated.size) fullest = other
    if (fullest === address) return false
    const [oldest] = fullest.unauthenticated
    oldest?.evict()
    return oldest !== undefined
  }

  #hasFailedTooOften(network: string, { count, unauthenticated }: AddressConnections): boolean {
    const failures = this.#failures.get(network)
    if (failures === undefined) return false
    const { maxFailures } = this.#limits
    const hasMembers = count > unauthenticated.size
    return failures.count >= (hasMembers ? MEMBER_ADDRESS_FACTOR * maxFailures : maxFailures)
  }

  #countFailure(network: string): void {
    const failures = this.#failures.get(network)
    if (failures === undefined) this.#failures.set(network, { count: 1 })
    else failures.count += 1
  }
}

/** An IPv6 host usually has its whole /64, so all addresses of a /64 count as one. */
function networkOf(address: string): string {
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
