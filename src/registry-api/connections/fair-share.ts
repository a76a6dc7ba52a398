import type { Client } from './client.ts'

/** The client and connection that hold one unit of a limited resource. */
export interface Holder {
  readonly client: Client
  /** The same object for everything that one connection holds. */
  readonly connection: object
}

export interface ShareLimits {
  readonly total: number
  /** The most that one connection may hold. */
  readonly perConnection: number
  /** The most that all connections of one remote address may hold. Local clients share an address, so it does not limit them. */
  readonly perAddress: number
  /** The part of the total that only clients on this machine may take. */
  readonly reservedForLocal: number
}

/** So many addresses are remembered before those that hold nothing are removed: most clients return. */
const MAX_REMEMBERED_ADDRESSES = 1024

/** A share is large when it is four times what another holder would have, and at least 16. */
const LARGE_SHARE_FACTOR = 4
const LARGE_SHARE_MIN = 16

interface Count {
  held: number
}

/** Counts who holds how much of a limited resource, so that no client takes all of it. */
export class FairShare {
  readonly #limits: ShareLimits
  readonly #byConnection = new WeakMap<object, Count>()
  readonly #byAddress = new Map<string, Count>()
  #held = 0
  #heldByRemote = 0

  constructor(limits: ShareLimits) {
    this.#limits = limits
  }

  get held(): number {
    return this.#held
  }

  get heldByLocal(): number {
    return this.#held - this.#heldByRemote
  }

  get isFull(): boolean {
    return this.#held >= this.#limits.total
  }

  mayTake(holder: Holder): boolean {
    if (this.isFull || !this.isBelowOwnLimits(holder)) return false
    const { total, reservedForLocal } = this.#limits
    return holder.client.isLocal || this.#heldByRemote < total - reservedForLocal
  }

  /** The holder's connection and address hold less than each may, whatever others hold. */
  isBelowOwnLimits({ client, connection }: Holder): boolean {
    const { perConnection, perAddress } = this.#limits
    if ((this.#byConnection.get(connection)?.held ?? 0) >= perConnection) return false
    return client.isLocal || this.heldBy(client) < perAddress
  }

  /** The share by which holders are compared: of the connection for a local client, of the address for a remote one. */
  shareOf({ client, connection }: Holder): number {
    return client.isLocal ? (this.#byConnection.get(connection)?.held ?? 0) : this.heldBy(client)
  }

  /** Holders of this share or more may lose a unit to `holder`, even while they make progress. */
  largeShareFor(holder: Holder): number {
    return Math.max(LARGE_SHARE_MIN, LARGE_SHARE_FACTOR * (this.shareOf(holder) + 1))
  }

  heldBy({ address }: Client): number {
    return this.#byAddress.get(address)?.held ?? 0
  }

  isAtAddressLimit({ client }: Holder): boolean {
    return !client.isLocal && this.heldBy(client) >= this.#limits.perAddress
  }

  take(holder: Holder): void {
    this.#change(holder, 1)
  }

  release(holder: Holder): void {
    this.#change(holder, -1)
  }

  #change({ client, connection }: Holder, by: 1 | -1): void {
    this.#held += by
    if (!client.isLocal) this.#heldByRemote += by
    const ofConnection = this.#byConnection.get(connection)
    if (ofConnection === undefined) this.#byConnection.set(connection, { held: by })
    else ofConnection.held += by
    const ofAddress = this.#byAddress.get(client.address)
    if (ofAddress !== undefined) ofAddress.held += by
    else this.#addAddress(client.address, by)
  }

  #addAddress(address: string, held: number): void {
    if (this.#byAddress.size >= MAX_REMEMBERED_ADDRESSES) {
      for (const [other, count] of this.#byAddress) if (count.held === 0) this.#byAddress.delete(other)
    }
    this.#byAddress.set(address, { held })
  }
}
