import { publish } from '../../observe/events.ts'
import type { Digest } from '../../oci/digest.ts'
import type { Repository } from '../../oci/names/repository.ts'
import { type Member, type MemberId, PEER_PROTOCOL } from '../identity/member.ts'
import type { Membership } from '../membership/membership.ts'

/** A member, and what this node has exchanged with it since it joined or restarted. */
export interface PeerStatsEntry {
  readonly member: Member
  /** Milliseconds since the epoch. */
  readonly since: number
  /** How many bytes this node has downloaded from the member. */
  takenBytes: number
  /** How many bytes this node has uploaded to the member. */
  givenBytes: number
}

/** A transfer from or to a peer. */
export interface RecordedTransfer {
  readonly direction: 'taken' | 'served'
  readonly digest: Digest
  /** The repository in which a peer has asked for it. */
  readonly repository?: Repository
  /** undefined when membership does not know the peer (yet). */
  readonly id: MemberId | undefined
  readonly name: string
  /** Gives how many bytes were transferred so far. */
  readonly bytes: () => number
}

/** Counts what this node exchanges with each member. Publishes the events of members that join and leave, and of transfers. */
export class PeerStats {
  readonly #entries = new Map<MemberId, PeerStatsEntry>()
  readonly #underWay = new Set<RecordedTransfer>()

  list(): readonly PeerStatsEntry[] {
    return [...this.#entries.values()]
  }

  /** The transfers that are under way. */
  underWay(): Iterable<RecordedTransfer> {
    return this.#underWay
  }

  /** Must be called when membership has changed. */
  update(membership: Membership): void {
    for (const [id, { member }] of this.#entries) {
      const current = membership.get(id)
      if (current === undefined) this.#remove(member, membership.departure(id))
      else if (current.incarnation !== member.incarnation) this.#remove(member, 'restarted')
    }
    for (const member of membership.others()) {
      const known = this.#entries.get(member.id)
      if (known === undefined) this.#add(member)
      else if (known.member !== member) this.#entries.set(member.id, { ...known, member })
    }
  }

  /** Runs a transfer and records it. */
  async record(transfer: RecordedTransfer, work: () => Promise<void>): Promise<void> {
    const { direction, digest, repository, id, name } = transfer
    const startedAt = performance.now()
    let error: Error | undefined
    this.#underWay.add(transfer)
    try {
      await work()
    } catch (thrown) {
      error = thrown instanceof Error ? thrown : new Error(String(thrown))
      throw thrown
    } finally {
      this.#underWay.delete(transfer)
      const bytes = transfer.bytes()
      const entry = id === undefined ? undefined : this.#entries.get(id)
      if (entry !== undefined) entry[direction === 'taken' ? 'takenBytes' : 'givenBytes'] += bytes
      const ms = performance.now() - startedAt
      publish(`peer.${direction}`, { digest, repository, id, name, bytes, ms, error })
    }
  }

  #add(member: Member): void {
    const { id, name, zone, version, protocol } = member
    const understood = protocol === PEER_PROTOCOL
    this.#entries.set(id, { member, since: Date.now(), takenBytes: 0, givenBytes: 0 })
    publish('peer.joined', { id, name, address: addressOf(member), zone, version, understood })
  }

  #remove({ id, name, zone }: Member, reason: 'left' | 'silent' | 'restarted' | undefined): void {
    this.#entries.delete(id)
    publish('peer.left', { id, name, zone, reason })
  }
}

/** The `host:port` at which peers reach a member. */
export function addressOf({ host, port }: Pick<Member, 'host' | 'port'>): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}
