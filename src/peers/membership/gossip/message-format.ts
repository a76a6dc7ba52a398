import * as v from 'valibot'
import { type MemberId, parseMemberId } from '../../identity/member.ts'
import {
  count,
  type Heartbeat,
  heartbeatOf,
  incarnation,
  load,
  parseRecord,
  type RecordWithHeartbeat,
  type SignedHeartbeat,
} from '../../identity/signed-record.ts'
import {
  type GossipMessage,
  MAX_HEARTBEATS_PER_MESSAGE,
  MAX_RECORDS_PER_MESSAGE,
  type Summary,
} from './gossip-messages.ts'
import { MAX_CLOSED_MS, MAX_NOTICES_PER_MESSAGE, type PseudonymousNotice } from './rate-limit-notices.ts'

/** Gossip messages as JSON, as they are sent over links. A member that sends anything else loses its link. */

/** The encrypted stream carries messages of up to 16 MiB; no member sends nearly as much as 64 KiB at once. */
const MAX_MESSAGE_BYTES = 64 * 1024

const memberId = v.custom<MemberId>((value) => parseMemberId(value) !== undefined)
const key = v.pipe(v.string(), v.regex(/^[\w-]{43}$/))
const signature = v.pipe(v.string(), v.regex(/^[\w-]{86}$/))

const record = v.pipe(
  v.tuple([key, signature, v.string(), count, signature, v.optional(load, 0)]),
  v.rawTransform(({ dataset, addIssue, NEVER }): RecordWithHeartbeat => {
    const [key, signature, statement, sequence, heartbeatSignature, load] = dataset.value
    const record = parseRecord(key, signature, statement)
    if (record === undefined) {
      addIssue({ message: 'the statement of the record is malformed' })
      return NEVER
    }
    const heartbeat = { ...heartbeatOf(record.member, sequence), signature: heartbeatSignature }
    return { record, heartbeat: load === 0 ? heartbeat : { ...heartbeat, load } }
  }),
)
const signedHeartbeat = v.pipe(
  v.tuple([memberId, incarnation, count, signature, v.optional(load, 0)]),
  v.transform(
    ([id, incarnation, sequence, signature, load]): SignedHeartbeat => ({
      id,
      incarnation,
      sequence,
      signature,
      ...(load > 0 && { load }),
    }),
  ),
)
const unsignedHeartbeat = v.pipe(
  v.tuple([memberId, incarnation, count]),
  v.transform(([id, incarnation, sequence]): Heartbeat => ({ id, incarnation, sequence })),
)
const notice = v.pipe(
  v.object({
    who: v.pipe(v.string(), v.regex(/^[0-9a-f]{32}$/)),
    host: v.pipe(v.string(), v.maxLength(255), v.regex(/^[\w.:[\]-]+$/)),
    closedMs: v.pipe(count, v.maxValue(MAX_CLOSED_MS)),
  }),
  v.transform(({ who, host, closedMs }): PseudonymousNotice => ({ pseudonym: who, host, closedMs })),
)
const signedHeartbeats = v.optional(
  v.pipe(v.array(signedHeartbeat), v.maxLength(MAX_HEARTBEATS_PER_MESSAGE)),
  [],
)

/** The names of the fields on the wire, which older versions of the agent fixed. */
const WireMessage = v.pipe(
  v.object({
    records: v.optional(v.pipe(v.array(record), v.maxLength(MAX_RECORDS_PER_MESSAGE)), []),
    beats: signedHeartbeats,
    doubts: signedHeartbeats,
    goodbyes: signedHeartbeats,
    wanted: v.optional(v.pipe(v.array(memberId), v.maxLength(MAX_HEARTBEATS_PER_MESSAGE)), []),
    digest: v.optional(v.tuple([count, count, count])),
    words: v.optional(v.pipe(v.array(notice), v.maxLength(MAX_NOTICES_PER_MESSAGE)), []),
    summary: v.optional(
      v.pipe(
        v.object({
          from: v.string(),
          to: v.string(),
          signs: v.pipe(v.array(unsignedHeartbeat), v.maxLength(MAX_HEARTBEATS_PER_MESSAGE)),
        }),
        v.transform(({ from, to, signs }): Summary => ({ from, to, heartbeats: signs })),
      ),
    ),
  }),
  v.transform(
    ({ records, beats, doubts, goodbyes, wanted, words, digest, summary }): GossipMessage => ({
      records,
      heartbeats: beats,
      suspects: doubts,
      goodbyes,
      wanted,
      notices: words,
      ...(digest !== undefined && { checksum: digest }),
      ...(summary !== undefined && { summary }),
    }),
  ),
)

export function encodeMessage(message: GossipMessage): Buffer {
  const { records, heartbeats, suspects, goodbyes, wanted, notices, checksum, summary } = message
  return Buffer.from(
    JSON.stringify({
      ...(records.length > 0 && { records: records.map(recordTuple) }),
      ...(heartbeats.length > 0 && { beats: heartbeats.map(heartbeatTuple) }),
      ...(suspects.length > 0 && { doubts: suspects.map(heartbeatTuple) }),
      ...(goodbyes.length > 0 && { goodbyes: goodbyes.map(heartbeatTuple) }),
      ...(wanted.length > 0 && { wanted }),
      ...(notices.length > 0 && {
        // Older agents refuse a notice without an age, which is about a quota in it.
        words: notices.map(({ pseudonym, host, closedMs }) => ({ who: pseudonym, host, closedMs, ageMs: 0 })),
      }),
      digest: checksum,
      summary: summary && {
        from: summary.from,
        to: summary.to,
        signs: summary.heartbeats.map(({ id, incarnation, sequence }) => [id, incarnation, sequence]),
      },
    }),
  )
}

function heartbeatTuple({
  id,
  incarnation,
  sequence,
  signature,
  load,
}: SignedHeartbeat): readonly (string | number)[] {
  const tuple = [id, incarnation, sequence, signature]
  return load === undefined ? tuple : [...tuple, load]
}

function recordTuple({ record, heartbeat }: RecordWithHeartbeat): readonly (string | number)[] {
  const { key, signature, statement } = record
  const { sequence, load } = heartbeat
  const tuple = [key, signature, statement, sequence, heartbeat.signature]
  return load === undefined ? tuple : [...tuple, load]
}

/** Undefined if the bytes are not a valid message. */
export function parseMessage(bytes: Uint8Array): GossipMessage | undefined {
  if (bytes.length > MAX_MESSAGE_BYTES) return undefined
  try {
    const parsed = v.safeParse(WireMessage, JSON.parse(Buffer.from(bytes).toString('utf8')))
    return parsed.success ? parsed.output : undefined
  } catch {
    return undefined
  }
}
