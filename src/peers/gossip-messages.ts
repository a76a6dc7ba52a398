import * as v from 'valibot'
import { type Member, type MemberId, parseMemberId } from './member.ts'
import type { Sign } from './members.ts'
import { LONGEST_CLOSED_MS, OLDEST_MS, type Quota, WORDS_AT_ONCE, type Word } from './tidings.ts'

/** What members tell each other of the others, over their links. Parsed where it arrives; anything else ends the link. */

/** In one message, which stays below the limit by a wide margin. */
export const RECORDS_AT_ONCE = 20
export const SIGNS_AT_ONCE = 400
/** More than anybody gives to at once. */
const MOST_LOAD = 2 ** 16
/** Of a message in bytes. */
const MOST_BYTES = 64 * 1024

const memberId = v.custom<MemberId>((value) => parseMemberId(value) !== undefined)
const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0), v.maxValue(2 ** 52))
/** For people and for dialing: neither control characters nor what JSON has to write in another way. */
const text = (length: number) => v.pipe(v.string(), v.maxLength(length), v.regex(/^[^\p{C}"\\]*$/u))

const load = v.pipe(count, v.maxValue(MOST_LOAD))
const member = v.pipe(
  v.object({
    id: memberId,
    incarnation: count,
    name: text(255),
    host: v.pipe(v.string(), v.maxLength(255), v.regex(/^[\w.:-]+$/)),
    port: v.pipe(count, v.minValue(1), v.maxValue(65_535)),
    fingerprint: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/)),
    zone: v.optional(text(255)),
    version: text(64),
    protocol: count,
    load: v.optional(load, 0),
  }),
  v.transform((record): Member => ({ ...record, zone: record.zone })),
)
const sign = v.pipe(
  v.tuple([memberId, count, count, v.optional(load, 0)]),
  v.transform(
    ([id, incarnation, beat, load]): Sign => ({ id, incarnation, beat, ...(load > 0 && { load }) }),
  ),
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
  /** Members, each with its beat. */
  records: v.optional(v.pipe(v.array(v.tuple([member, count])), v.maxLength(RECORDS_AT_ONCE)), []),
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
  summary: v.optional(v.object({ from: v.string(), to: v.string(), signs })),
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
      ...(records.length === 0 ? {} : { records }),
      ...(beats.length === 0 ? {} : { beats: beats.map(told) }),
      ...(doubts.length === 0 ? {} : { doubts: doubts.map(told) }),
      ...(goodbyes.length === 0 ? {} : { goodbyes: goodbyes.map(told) }),
      ...(wanted.length === 0 ? {} : { wanted }),
      ...(words.length === 0 ? {} : { words }),
      digest,
      summary: summary && { ...summary, signs: summary.signs.map(told) },
    }),
  )
}

function told({ id, incarnation, beat, load }: Sign): readonly (MemberId | number)[] {
  return load === undefined ? [id, incarnation, beat] : [id, incarnation, beat, load]
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
