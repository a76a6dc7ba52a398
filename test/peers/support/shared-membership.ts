import type { Member, MemberId } from '../../../src/peers/identity/member.ts'
import {
  type NoticeChannel,
  NoticeStore,
  type PseudonymousNotice,
} from '../../../src/peers/membership/gossip/rate-limit-notices.ts'
import type { OwnMembership } from '../../../src/peers/network.ts'

/** A membership without gossip: all members see the same list, and a change of the list at once. */
export class SharedMembership {
  readonly #present = new Map<MemberId, Member>()
  readonly #listeners = new Set<() => void>()
  readonly #noticeReceivers = new Map<MemberId, (notice: PseudonymousNotice) => void>()

  present(): readonly Member[] {
    return [...this.#present.values()]
  }

  /** Adds a member, or changes what the others see of it. */
  set(member: Member): void {
    this.#present.set(member.id, member)
    this.notify()
  }

  /** Removes a member. The others notice it when they look, and are told by `notify`. */
  remove(id: MemberId): void {
    this.#present.delete(id)
  }

  notify(): void {
    for (const listener of this.#listeners) listener()
  }

  /** Gives the membership as this member sees it. The others see the member from `start` on, until it is removed. */
  of(self: Member): OwnMembership {
    const others = (): readonly Member[] => this.present().filter(({ id }) => id !== self.id)
    return {
      self,
      others,
      departure: () => 'silent',
      get: (id) => (id === self.id ? undefined : this.#present.get(id)),
      onChange: (listener) => {
        this.#listeners.add(listener)
        return () => this.#listeners.delete(listener)
      },
      notices: this.#noticeChannelOf(self),
      start: async () => this.set(self),
      stop: async () => {},
    }
  }

  /** A notice that one member sends reaches all others at once. */
  #noticeChannelOf(self: Member): NoticeChannel {
    const store = new NoticeStore()
    const listeners = new Set<(host: string) => void>()
    this.#noticeReceivers.set(self.id, (notice) => {
      if (!store.add(notice, performance.now(), self.id)) return
      for (const listener of listeners) listener(notice.host)
    })
    return {
      send: (notice) => {
        store.add(notice, performance.now())
        for (const [id, receive] of this.#noticeReceivers) if (id !== self.id) receive(notice)
      },
      latest: (pseudonym) => store.latest(pseudonym, performance.now()),
      onReceived: (listener) => {
        listeners.add(listener)
        return () => listeners.delete(listener)
      },
    }
  }
}
