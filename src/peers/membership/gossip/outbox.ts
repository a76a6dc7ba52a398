import type { MemberId } from '../../identity/member.ts'
import type { RecordWithHeartbeat } from '../../identity/signed-record.ts'
import { EMPTY_MESSAGE, type GossipMessage, MAX_RECORDS_PER_MESSAGE } from './gossip-messages.ts'

export interface OutgoingMessage {
  readonly to: MemberId
  readonly message: GossipMessage
}

/** The messages that are still to be sent over links. */
export class Outbox {
  #messages: OutgoingMessage[] = []

  take(): readonly OutgoingMessage[] {
    const messages = this.#messages
    this.#messages = []
    return messages
  }

  /** Adds a message, unless it is empty. */
  send(to: MemberId, content: Partial<GossipMessage>): void {
    const message = { ...EMPTY_MESSAGE, ...content }
    const { records, heartbeats, suspects, goodbyes, wanted, notices, checksum, summary } = message
    const lists: readonly (readonly unknown[])[] = [records, heartbeats, suspects, goodbyes, wanted, notices]
    if (lists.every((list) => list.length === 0) && checksum === undefined && summary === undefined) return
    this.#messages.push({ to, message })
  }

  /** Adds as many messages as the records fill. */
  sendRecords(to: MemberId, records: readonly RecordWithHeartbeat[]): void {
    for (let at = 0; at < records.length; at += MAX_RECORDS_PER_MESSAGE) {
      this.send(to, { records: records.slice(at, at + MAX_RECORDS_PER_MESSAGE) })
    }
  }
}
