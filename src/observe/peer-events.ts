import type { Digest } from '../oci/digest.ts'
import type { Repository } from '../oci/names/repository.ts'
import type { InstructionReport, OwnerReport } from '../schemas/peer-report.ts'

/** The events of the swarm, and of the transfers between its agents. */
export interface PeerEvents {
  /** Another agent of the swarm has become known; its peers connect to `address`. */
  'peer.joined': {
    readonly id: string
    readonly name: string
    readonly address: string
    readonly zone: string | undefined
    readonly version: string
    /** The agent speaks the protocol of this node. Others get no requests, and are not answered. */
    readonly understood: boolean
  }
  'peer.left': {
    readonly id: string
    readonly name: string
    readonly zone: string | undefined
    /** The peer said goodbye (`left`), was not heard any more (`silent`) or was restarted; undefined when not known. */
    readonly reason: 'left' | 'silent' | 'restarted' | undefined
  }
  /** A transfer to a peer has ended; `id` is undefined when the peer was not known as a member. */
  'peer.served': PeerTransferEnded
  /** A transfer from a peer has ended. One flight may take from several peers, one after another. */
  'peer.taken': PeerTransferEnded
  /** The owner of a digest told this node how to get it; `owner` is undefined when no owner can be reached. */
  'peer.instructed': {
    readonly digest: Digest
    readonly owner: OwnerReport | undefined
    readonly instruction: InstructionReport
    /** The name of the peer to download it from. */
    readonly from: string | undefined
  }
}

interface PeerTransferEnded {
  readonly digest: Digest
  /** The repository in which a peer has asked for it; undefined for what this node takes. */
  readonly repository: Repository | undefined
  readonly id: string | undefined
  readonly name: string
  readonly bytes: number
  readonly ms: number
  /** undefined when the transfer was complete. */
  readonly error: Error | undefined
}
