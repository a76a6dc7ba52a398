import type { MemberId } from '../../identity/member.ts'
import type { Link } from './link.ts'

/** More links than an agent dials, so that a member that joins late can still link to this node. */
const MAX_LINKS = 64
/** Bounds the connections of strangers, which have a few seconds each to prove that they know the secret. */
const MAX_UNPROVEN_LINKS = 32

/** The open links of this node: one to each linked member, and those whose other end has proven nothing yet. */
export class Links {
  readonly #proven = new Map<MemberId, Link>()
  readonly #unproven = new Set<Link>()

  /** How many members are linked. */
  get size(): number {
    return this.#proven.size
  }

  get(id: MemberId): Link | undefined {
    return this.#proven.get(id)
  }

  proven(): readonly Link[] {
    return [...this.#proven.values()]
  }

  /** A linked member may always open another link, which replaces the one that it has. */
  hasRoomFor(id: MemberId): boolean {
    const isFull = this.#proven.size + this.#unproven.size >= MAX_LINKS && !this.#proven.has(id)
    return !isFull && this.#unproven.size < MAX_UNPROVEN_LINKS
  }

  addUnproven(link: Link): void {
    this.#unproven.add(link)
  }

  /** Makes a link the one to its member, in place of an earlier one. */
  setProven(link: Link): void {
    this.#unproven.delete(link)
    const before = this.#proven.get(link.id)
    this.#proven.set(link.id, link)
    before?.close()
  }

  /** Returns whether it was the link to its member. */
  remove(link: Link): boolean {
    this.#unproven.delete(link)
    if (this.#proven.get(link.id) !== link) return false
    this.#proven.delete(link.id)
    return true
  }

  closeAll(): void {
    for (const link of [...this.#proven.values(), ...this.#unproven]) link.close()
  }
}
