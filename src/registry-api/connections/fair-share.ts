import type { Client } from './client.ts'

/** Who holds something of which there is only so much. */
export interface Holder {
  readonly client: Client
  /** The same object for everything that one connection holds. */
  readonly connection: object
}

export interface ShareLimits {
  readonly total: number
  /** What one connection may hold. */
  readonly perConnection: number
  /** What all connections of one address may hold together. Clients on this machine share their address, so it does not bound them. */
  readonly perAddress: number
  /** The part of the total that only clients on this machine may take. */
  readonly forLocal: number
}

/** Counts of addresses that hold nothing are kept up to so many, because most of them come again. */
const MOST_ADDRESSES = 1024

/** So many times what another would have. */
const MANY = 4
const MANY_AT_LEAST = 16

interface Count {
  held: number
}

/** Counts who holds how much, so that nobody takes everything from the others. */
export class FairShare {
  readonly #limits: ShareLimits
  readonly #byConnection = new WeakMap<object, Count>()
  readonly #byAddress = new Map<string, Count>()
  #held = 0
  #heldByOthers = 0

  constructor(limits: ShareLimits) {
    this.#limits = limits
  }

  get held(): number {
    return this.#held
  }

  get heldOnThisMachine(): number {
    return this.#held - this.#heldByOthers
  }

  get isFull(): boolean {
    return this.#held >= this.#limits.total
  }

  mayTake(holder: Holder): boolean {
    if (this.isFull || !this.isWithinOwn(holder)) return false
    const { total, forLocal } = this.#limits
    return holder.client.isLocal || this.#heldByOthers < total - forLocal
  }

  /** What its connection and its address may hold leaves room, whatever others hold. */
  isWithinOwn({ client, connection }: Holder): boolean {
    const { perConnection, perAddress } = this.#limits
    if ((this.#byConnection.get(connection)?.held ?? 0) >= perConnection) return false
    return client.isLocal || this.heldBy(client) < perAddress
  }

  /** How much its rival share is: of its connection on this machine, of its address elsewhere. */
  shareOf({ client, connection }: Holder): number {
    return client.isLocal ? (this.#byConnection.get(connection)?.held ?? 0) : this.heldBy(client)
  }

  /** Who holds so much may lose some of it to this one, though it makes good use of it. */
  manyFor(holder: Holder): number {
    return Math.max(MANY_AT_LEAST, MANY * (this.shareOf(holder) + 1))
  }

  heldBy({ address }: Client): number {
    return this.#byAddress.get(address)?.held ?? 0
  }

  /** It has taken all that its own address may hold. */
  isGreedy({ client }: Holder): boolean {
    return !client.isLocal && this.heldBy(client) >= this.#limits.perAddress
  }

  take(holder: Holder): void {
    this.#change(holder, 1)
  }

  giveBack(holder: Holder): void {
    this.#change(holder, -1)
  }

  #change({ client, connection }: Holder, by: 1 | -1): void {
    this.#held += by
    if (!client.isLocal) this.#heldByOthers += by
    const ofConnection = this.#byConnection.get(connection)
    if (ofConnection === undefined) this.#byConnection.set(connection, { held: by })
    else ofConnection.held += by
    const ofAddress = this.#byAddress.get(client.address)
    if (ofAddress !== undefined) ofAddress.held += by
    else this.#addAddress(client.address, by)
  }

  #addAddress(address: string, held: number): void {
    if (this.#byAddress.size >= MOST_ADDRESSES) {
      for (const [other, count] of this.#byAddress) if (count.held === 0) this.#byAddress.delete(other)
    }
    this.#byAddress.set(address, { held })
  }
}
