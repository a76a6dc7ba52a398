import type { MemberId } from '../../identity/member.ts'
import type { RecordWithHeartbeat, SignedHeartbeat } from '../../identity/signed-record.ts'
import { checksumOf, type ListChecksum, xorChecksums } from './list-checksum.ts'
import type { MemberList } from './member-list.ts'
import type { OwnMember } from './own-member.ts'

/** All members that this agent knows, itself included, as it describes them to others. */
export class KnownMembers {
  readonly own: OwnMember
  readonly others: MemberList

  constructor(own: OwnMember, others: MemberList) {
    this.own = own
    this.others = others
  }

  isOwn(id: MemberId): boolean {
    return id === this.own.member.id
  }

  heartbeat(id: MemberId): SignedHeartbeat | undefined {
    return this.isOwn(id) ? this.own.heartbeat : this.others.heartbeat(id)
  }

  heartbeats(): SignedHeartbeat[] {
    const others = [...this.others.all()].flatMap(({ id }) => this.others.heartbeat(id) ?? [])
    return [...others, this.own.heartbeat]
  }

  records(ids: readonly MemberId[]): RecordWithHeartbeat[] {
    return ids.flatMap((id) =>
      this.isOwn(id) ? this.own.recordWithHeartbeat : (this.others.recordWithHeartbeat(id) ?? []),
    )
  }

  checksum(): ListChecksum {
    const [high, low] = xorChecksums(this.others.checksum, checksumOf(this.own.member))
    return [high, low, this.others.size + 1]
  }
}
