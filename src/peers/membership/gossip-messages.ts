import * as v from 'valibot'
import { type MemberId, parseMemberId } from '../identity/member.ts'
import {
  count,
  type Heartbeat,
  heartbeatOf,
  incarnation,
  load,
  parseRecord,
  type SignedHeartbeat,
  type SignedRecord,
} from '../identity/signed-record.ts'
import { LONGEST_CLOSED_MS, OLDEST_MS, type Quota, WORDS_AT_ONCE, type Word } from './rate-limit-notices.ts'

/** What members tell each other of the others, over their links. Parsed where it arrives; anything else ends the link. */

/** In one message, which stays below the limit by a wide margin. */
export const RECORDS_AT_ONCE = 20
export const SIGNS_AT_ONCE = 300
/** Of a message in bytes. */
const MOST_BYTES = 64 * 1024

const memberId = v.custom<MemberId>((value) => parseMemberId(value) !== undefined)
const key = v.pipe(v.string(), v.regex(/^[\w-]{43}$/))
const signature = v.pipe(v.string(), v.regex(/^[\w-]{86}$/))

/** A member as it tells of itself, and its last sign of incarnation. */
export interface Account {
  readonly record: SignedRecord
  readonly sign: SignedHeartbeat
}

const record = v.pipe(
  v.tuple([key, signature, v.string(), count, signature, v.optional(load, 0)]),
  v.rawTransform(({ dataset, addIssue, NEVER }): Account => {
    const [key, signature, statement, sequence, signed, load] = dataset.value
    const record = parseRecord(key, signature, statement)
    if (record === undefined) {
      addIssue({ message: 'it states nothing' })
      return NEVER
    }
    const sign = { ...heartbeatOf({ ...record.member, load }, sequence), signature: signed }
    return { record, sign }
  }),
)
const sign = v.pipe(
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
/** Nothing is believed for it: it only shows what else is to be told. */
const bareSign = v.pipe(
  v.tuple([memberId, incarnation, count]),
  v.transform(([id, incarnation, sequence]): Heartbeat => ({ id, incarnation, sequence })),
)
const word = v.pipe(
  v.object({
    who: v.pipe(v.string(), v.regex(/^[0-9a-f]{32}$/)),
    host: v.pipe(v.string(), v.maxLength(255), v.regex(/^[\w.:[\]-]+$/)),
    closedMs: v.pipe(count, v.maxValue(LONGEST_CLOSED_MS)),
    quota: v.optional(
      v.pipe(
        v.object({ limit: v.optional(count), remaining: count, windowSeconds: v.optional(count) }),
        v.transform(({ limit, remaining, windowSeconds }): Quota => ({ limit, remaining, windowSeconds })),
      ),
    ),
    ageMs: v.pipe(count, v.maxValue(OLDEST_MS)),
  }),
  v.transform((told): Word => ({ ...told, quota: told.quota })),
)
const signs = v.optional(v.pipe(v.array(sign), v.maxLength(SIGNS_AT_ONCE)), [])

const Message = v.object({
  records: v.optional(v.pipe(v.array(record), v.maxLength(RECORDS_AT_ONCE)), []),
  /** These were alive. */
  beats: signs,
  /** Nothing was heard of these since. */
  doubts: signs,
  /** These have said goodbye. */
  goodbyes: signs,
  /** Records of these are asked for. */
  wanted: v.optional(v.pipe(v.array(memberId), v.maxLength(SIGNS_AT_ONCE)), []),
  /** Of all who the sender knows, and how many they are. */
  digest: v.optional(v.tuple([count, count, count])),
  /** What registries have told members. */
  words: v.optional(v.pipe(v.array(word), v.maxLength(WORDS_AT_ONCE)), []),
  /** All who the sender knows from one id up to, but not including, another: it is to be told of the others. */
  summary: v.optional(
    v.object({
      from: v.string(),
      to: v.string(),
      signs: v.pipe(v.array(bareSign), v.maxLength(SIGNS_AT_ONCE)),
    }),
  ),
})
export type Message = v.InferOutput<typeof Message>

export const NOTHING: Message = {
  records: [],
  beats: [],
  doubts: [],
  goodbyes: [],
  wanted: [],
  words: [],
}

export function encodeMessage(message: Message): Buffer {
  const { records, beats, doubts, goodbyes, wanted, words, digest, summary } = message
  return Buffer.from(
    JSON.stringify({
      ...(records.length === 0 ? {} : { records: records.map(written) }),
      ...(beats.length === 0 ? {} : { beats: beats.map(told) }),
      ...(doubts.length === 0 ? {} : { doubts: doubts.map(told) }),
      ...(goodbyes.length === 0 ? {} : { goodbyes: goodbyes.map(told) }),
      ...(wanted.length === 0 ? {} : { wanted }),
      ...(words.length === 0 ? {} : { words }),
      digest,
      summary: summary && {
        ...summary,
        signs: summary.signs.map(({ id, incarnation, sequence }) => [id, incarnation, sequence]),
      },
    }),
  )
}

function told({ id, incarnation, sequence, signature, load }: SignedHeartbeat): readonly (string | number)[] {
  return load === undefined
    ? [id, incarnation, sequence, signature]
    : [id, incarnation, sequence, signature, load]
}

function written({ record: signed, sign }: Account): readonly (string | number)[] {
  const { key, signature, statement } = signed
  const { sequence, load } = sign
  const record = [key, signature, statement, sequence, sign.signature]
  return load === undefined ? record : [...record, load]
}

/** Undefined for what is no message. */
export function parseMessage(bytes: Uint8Array): Message | undefined {
  if (bytes.length > MOST_BYTES) return undefined
  try {
    const parsed = v.safeParse(Message, JSON.parse(Buffer.from(bytes).toString('utf8')))
    return parsed.success ? parsed.output : undefined
  } catch {
    return undefined
  }
}
