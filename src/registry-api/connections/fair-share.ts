import type { Client } from './client.ts'

/** The client and connection that use one unit of a limited resource. */
export interface ShareUser {
  readonly client: Client
  /** The object is the same for everything that one connection uses. */
  readonly connection: object
}

export interface ShareLimits {
  readonly total: number
  /** The most that one connection may take. */
  readonly perConnection: number
  /** The most that all connections of one remote address may take. Local clients share an address, so it does not limit them. */
  readonly perAddress: number
  /** The part of the total that only clients on this machine may take. */
  readonly reservedForLocal: number
}

/** At this number, addresses without a unit are forgotten. They are remembered until then, because most clients return. */
const MAX_REMEMBERED_ADDRESSES = 1024

/** A share is large when it is four times as large as what another user would have, and at least 16 units. */
const LARGE_SHARE_FACTOR = 4
const LARGE_SHARE_MIN = 16

interface Count {
  taken: number
}

/** Counts how much of a limited resource each client has taken, so that no client takes all of it. */
export class FairShare {
  readonly #limits: ShareLimits
  readonly #byConnection = new WeakMap<object, Count>()
  readonly #byAddress = new Map<string, Count>()
  #taken = 0
  #takenByRemote = 0

  constructor(limits: ShareLimits) {
    this.#limits = limits
  }

  get taken(): number {
    return this.#taken
  }

  get takenByLocal(): number {
    return this.#taken - this.#takenByRemote
  }

  get isFull(): boolean {
    return this.#taken >= this.#limits.total
  }

  mayTake(user: ShareUser): boolean {
    if (this.isFull || !this.isBelowOwnLimits(user)) return false
    const { total, reservedForLocal } = this.#limits
    return user.client.isLocal || this.#takenByRemote < total - reservedForLocal
  }

  /** The user's connection and address have taken less than each may, whatever others have. */
  isBelowOwnLimits({ client, connection }: ShareUser): boolean {
    const { perConnection, perAddress } = this.#limits
    if ((this.#byConnection.get(connection)?.taken ?? 0) >= perConnection) return false
    return client.isLocal || this.takenBy(client) < perAddress
  }

  /** The share by which users are compared: of the connection for a local client, of the address for a remote one. */
  shareOf({ client, connection }: ShareUser): number {
    return client.isLocal ? (this.#byConnection.get(connection)?.taken ?? 0) : this.takenBy(client)
  }

  /** Users with this share or more may lose a unit to `user`, even while they make progress. */
  largeShareFor(user: ShareUser): number {
    return Math.max(LARGE_SHARE_MIN, LARGE_SHARE_FACTOR * (this.shareOf(user) + 1))
  }

  takenBy({ address }: Client): number {
    return this.#byAddress.get(address)?.taken ?? 0
  }

  isAtAddressLimit({ client }: ShareUser): boolean {
    return !client.isLocal && this.takenBy(client) >= this.#limits.perAddress
  }

  take(user: ShareUser): void {
    this.#change(user, 1)
  }

  release(user: ShareUser): void {
    this.#change(user, -1)
  }

  #change({ client, connection }: ShareUser, by: 1 | -1): void {
    this.#taken += by
    if (!client.isLocal) this.#takenByRemote += by
    const ofConnection = this.#byConnection.get(connection)
    if (ofConnection === undefined) this.#byConnection.set(connection, { taken: by })
    else ofConnection.taken += by
    const ofAddress = this.#byAddress.get(client.address)
    if (ofAddress !== undefined) ofAddress.taken += by
    else this.#addAddress(client.address, by)
  }

  #addAddress(address: string, taken: number): void {
    if (this.#byAddress.size >= MAX_REMEMBERED_ADDRESSES) {
      for (const [other, count] of this.#byAddress) if (count.taken === 0) this.#byAddress.delete(other)
    }
    this.#byAddress.set(address, { taken })
  }
}
