import { publish } from '../../observe/events.ts'
import type { Digest } from '../../oci/digest.ts'
import type { Member, MemberId } from '../identity/member.ts'
import type { Membership } from '../membership/membership.ts'

/** A member, since when it is there, and how many bytes it has given to this node and was given by it since. */
export interface Entry {
  readonly member: Member
  /** Milliseconds since the epoch. */
  readonly since: number
  taken: number
  given: number
}

/** One transfer with a peer. `id` is undefined when membership does not know the other (yet). */
export interface Dealing {
  readonly digest: Digest
  readonly id: MemberId | undefined
  readonly name: string
  /** So far. */
  readonly bytes: () => number
}

/** Who is there. Makes known who comes and goes, and what is exchanged with each. */
export class Roster {
  readonly #entries = new Map<MemberId, Entry>()
  #serving = 0

  /** Transfers to peers under way. */
  get serving(): number {
    return this.#serving
  }

  all(): readonly Entry[] {
    return [...this.#entries.values()]
  }

  /** To be called when membership has changed. */
  look(membership: Membership): void {
    for (const [id, { member }] of this.#entries) {
      const now = membership.get(id)
      if (now === undefined) this.#strike(member, membership.departure(id))
      else if (now.incarnation !== member.incarnation) this.#strike(member, 'restarted')
    }
    for (const member of membership.others()) {
      const known = this.#entries.get(member.id)
      if (known === undefined) this.#enter(member)
      else if (known.member !== member) this.#entries.set(member.id, { ...known, member })
    }
  }

  /** Carries out a transfer, from a peer or to it. */
  async deal(what: 'taken' | 'served', dealing: Dealing, work: () => Promise<void>): Promise<void> {
    const { digest, id, name } = dealing
    const startedAt = performance.now()
    let error: Error | undefined
    if (what === 'served') this.#serving += 1
    try {
      await work()
    } catch (thrown) {
      error = thrown instanceof Error ? thrown : new Error(String(thrown))
      throw thrown
    } finally {
      if (what === 'served') this.#serving -= 1
      const bytes = dealing.bytes()
      const entry = id === undefined ? undefined : this.#entries.get(id)
      if (entry !== undefined) entry[what === 'taken' ? 'taken' : 'given'] += bytes
      publish(`peer.${what}`, { digest, id, name, bytes, ms: performance.now() - startedAt, error })
    }
  }

  #enter(member: Member): void {
    const { id, name, zone, version } = member
    this.#entries.set(id, { member, since: Date.now(), taken: 0, given: 0 })
    publish('peer.joined', { id, name, address: addressOf(member), zone, version })
  }

  #strike({ id, name, zone }: Member, reason: 'left' | 'silent' | 'restarted' | undefined): void {
    this.#entries.delete(id)
    publish('peer.left', { id, name, zone, reason })
  }
}

/** Where its peers reach it. */
export function addressOf({ host, port }: Pick<Member, 'host' | 'port'>): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}
