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

/** Counts who holds how much, so that nobody takes everything from the others. */
export class FairShare {
  readonly #limits: ShareLimits
  readonly #byConnection = new Map<object, number>()
  readonly #byAddress = new Map<string, number>()
  #held = 0
  #heldByOthers = 0

  constructor(limits: ShareLimits) {
    this.#limits = limits
  }

  get held(): number {
    return this.#held
  }

  get isFull(): boolean {
    return this.#held >= this.#limits.total
  }

  mayTake(holder: Holder): boolean {
    return this.#held < this.#limits.total && this.isWithinOwn(holder)
  }

  /** Its own limits leave room, whether or not the total does. */
  isWithinOwn({ client, connection }: Holder): boolean {
    const { total, perConnection, perAddress, forLocal } = this.#limits
    if ((this.#byConnection.get(connection) ?? 0) >= perConnection) return false
    if (client.isLocal) return true
    return this.#heldByOthers < total - forLocal && (this.#byAddress.get(client.address) ?? 0) < perAddress
  }

  /** How much its rival share is: of its connection on this machine, of its address elsewhere. */
  shareOf({ client, connection }: Holder): number {
    return (client.isLocal ? this.#byConnection.get(connection) : this.#byAddress.get(client.address)) ?? 0
  }

  heldBy({ address }: Client): number {
    return this.#byAddress.get(address) ?? 0
  }

  /** It has taken all that its own address may hold. */
  isGreedy({ client }: Holder): boolean {
    return !client.isLocal && this.heldBy(client) >= this.#limits.perAddress
  }

  take({ client, connection }: Holder): void {
    this.#held += 1
    if (!client.isLocal) this.#heldByOthers += 1
    this.#byConnection.set(connection, (this.#byConnection.get(connection) ?? 0) + 1)
    this.#byAddress.set(client.address, (this.#byAddress.get(client.address) ?? 0) + 1)
  }

  giveBack({ client, connection }: Holder): void {
    this.#held -= 1
    if (!client.isLocal) this.#heldByOthers -= 1
    less(this.#byConnection, connection)
    less(this.#byAddress, client.address)
  }
}

function less<Key>(counts: Map<Key, number>, key: Key): void {
  const left = (counts.get(key) ?? 0) - 1
  if (left > 0) counts.set(key, left)
  else counts.delete(key)
}
