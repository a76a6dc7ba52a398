import * as v from 'valibot'
import { type Digest, parseDigest } from '../../oci/digest.ts'
import { isRepositoryName, isTag } from '../../oci/names/names.ts'
import { parseReference } from '../../oci/names/reference.ts'
import { parseRegistryHost } from '../../oci/names/registry-host.ts'
import { parsePlatform } from '../../oci/platform.ts'
import { Failure } from '../../ports/failure.ts'
import { MAX_IMAGES, WarmDone, WarmedImage, WarmProgress } from '../../schemas/warm-report.ts'
import { type MemberId, parseMemberId } from '../identity/member.ts'

/** What agents say to each other over the wire. It is parsed where it arrives; whatever is of none of these shapes is refused. */

/** In one message: a batch of marks, in base64, stays below the limit of a message. */
export const MARKS_AT_ONCE = 2048

const digest = v.custom<Digest>((value) => typeof value === 'string' && parseDigest(value) !== undefined)
const memberId = v.custom<MemberId>((value) => parseMemberId(value) !== undefined)
const repository = v.object({
  registry: v.pipe(
    v.string(),
    v.check((text) => parseRegistryHost(text) === text),
  ),
  name: v.pipe(v.string(), v.check(isRepositoryName)),
})
const kind = v.picklist(['manifest', 'blob'])
const amount = v.pipe(v.number(), v.safeInteger(), v.minValue(0))
/** Bytes per second. */
const rate = v.optional(v.pipe(amount, v.maxValue(1e12)))
const mediaType = v.nullable(v.pipe(v.string(), v.maxLength(255)))
const platform = v.pipe(
  v.string(),
  v.maxLength(100),
  v.check((text) => text === 'all' || parsePlatform(text).ok),
)
const beat = v.object({ is: v.literal('beat') })
/** As much of a member as it takes to reach it, and to know that it is the one. */
export const Contact = v.object({
  id: memberId,
  /** As in a record of membership: it is shown to people, and dialed. */
  name: v.pipe(v.string(), v.maxLength(255), v.regex(/^[^\p{C}"\\]*$/u)),
  host: v.pipe(v.string(), v.maxLength(255), v.regex(/^[\w.:-]+$/)),
  port: v.pipe(amount, v.minValue(1), v.maxValue(65_535)),
  fingerprint: v.pipe(v.string(), v.hexadecimal(), v.length(64)),
})
export type Contact = v.InferOutput<typeof Contact>
/** Marks number `first` and following. */
const marks = v.object({
  is: v.literal('marks'),
  first: amount,
  marks: v.pipe(v.string(), v.maxLength(MARKS_AT_ONCE * 22)),
})

/** The first message of an exchange. */
export const Ask = v.variant('ask', [
  /** To the owner: who brings me this? Answered with guidance until one of the two ends it. */
  v.object({
    ask: v.literal('follow'),
    digest,
    kind,
    repository,
    position: amount,
    /** What it is at already, by order of another owner. */
    from: v.nullable(v.union([v.literal('upstream'), memberId])),
    /** Who asks: the owner may not have heard of it yet. */
    self: Contact,
    zone: v.nullable(v.pipe(v.string(), v.maxLength(255))),
    /** Upstream has failed it already: it has gone on from an owner who could not help. */
    failed: v.optional(v.boolean()),
    /** The fastest that it has received anything of late. */
    best: rate,
  }),
  /** To a parent: the bytes from there on, if it knows them to be in that repository. Answered with `content` and the bytes. */
  v.object({ ask: v.literal('take'), digest, repository, from: amount }),
  /** What is held as this, after a question to upstream if need be; as anything, where a person wants to know. Answered with `held`. */
  v.object({ ask: v.literal('has'), digest, as: v.nullable(v.object({ kind, repository })) }),
  /** To the owner of a tag, or to another when the owner does not reach upstream. Answered with `tag`. */
  v.object({
    ask: v.literal('tag'),
    repository,
    tag: v.pipe(v.string(), v.check(isTag)),
    firsthand: v.optional(v.boolean()),
  }),
  /** Have so many images there, which follow in messages of their own. Answered with how that goes, until it is done. */
  v.object({
    ask: v.literal('warm'),
    images: v.pipe(amount, v.minValue(1), v.maxValue(MAX_IMAGES)),
    platforms: v.pipe(v.array(platform), v.maxLength(32)),
    referrers: v.boolean(),
    pin: v.boolean(),
  }),
])
export type Ask = v.InferOutput<typeof Ask>

const refused = v.object({
  is: v.literal('refused'),
  code: v.picklist([
    'absent',
    'denied',
    'unlisted',
    'busy',
    'unavailable',
    'stalled',
    'corrupt',
    'too-large',
    'unsupported',
    'stopping',
    'disk',
  ]),
  /** Shown to people, and logged. */
  message: v.pipe(
    v.string(),
    v.maxLength(1000),
    v.transform((text) => text.replace(/\p{C}+/gu, ' ')),
  ),
})

/** From the owner to one who follows. */
export const Guidance = v.variant('is', [
  v.object({ is: v.literal('take'), parent: Contact }),
  /** Bring it from upstream: all others wait for you. */
  v.object({ is: v.literal('fetch') }),
  /** Nobody here can help you: ask upstream yourself. */
  v.object({ is: v.literal('alone') }),
  /** Those who asked upstream were failed by it, and nobody here has it. */
  v.object({ is: v.literal('end') }),
  /** Do nothing for now: whoever you could take it from is not ahead of you. */
  v.object({ is: v.literal('wait') }),
  /** Nothing new; I am still here. */
  beat,
  marks,
  refused,
])
export type Guidance = v.InferOutput<typeof Guidance>

/** From one who follows to the owner. */
export const News = v.variant('is', [
  /** `receives`: now, whatever else it gets with it; of one who asks upstream. */
  v.object({ is: v.literal('at'), position: amount, receives: rate }),
  v.object({ is: v.literal('lost'), parent: memberId }),
  v.object({ is: v.literal('blamed'), parent: memberId }),
  /** Upstream has not given it to me. */
  v.object({ is: v.literal('failed') }),
  v.object({ is: v.literal('whole') }),
  marks,
])
export type News = v.InferOutput<typeof News>

export const TakeAnswer = v.variant('is', [
  v.object({ is: v.literal('content'), size: amount, mediaType }),
  refused,
])

export const HasAnswer = v.variant('is', [
  v.object({ is: v.literal('held'), position: amount, whole: v.boolean() }),
  refused,
])

export const TagAnswer = v.variant('is', [
  v.object({ is: v.literal('tag'), digest, mediaType, ageMs: v.pipe(v.number(), v.minValue(0)) }),
  refused,
])

/** From one who wants images warm elsewhere. */
export const WarmNews = v.variant('is', [
  v.object({
    is: v.literal('images'),
    images: v.pipe(
      v.array(
        v.pipe(
          v.string(),
          v.maxLength(600),
          v.check((text) => parseReference(text).ok),
        ),
      ),
      v.minLength(1),
    ),
  }),
  /** I still want to know. */
  beat,
])

/** To that: the first is `ready`, for the images. */
export const WarmAnswer = v.variant('is', [
  v.object({ is: v.literal('ready') }),
  WarmProgress,
  WarmedImage,
  WarmDone,
  beat,
  refused,
])

/** Throws a `Failure` that names who has said it. */
export function parse<Schema extends v.GenericSchema>(
  schema: Schema,
  message: unknown,
  who: string,
): v.InferOutput<Schema> {
  const parsed = v.safeParse(schema, message)
  if (parsed.success) return parsed.output
  throw new Failure('unavailable', `${who} said something that is not understood here`, { source: who })
}

export function refusal(error: unknown): v.InferOutput<typeof refused> {
  const code = error instanceof Failure ? error.code : 'unavailable'
  const message = error instanceof Error ? error.message.slice(0, 1000) : 'it failed'
  return { is: 'refused', code, message }
}

export function refusedBy(who: string, { code, message }: v.InferOutput<typeof refused>): Failure {
  return new Failure(code, `${who}: ${message}`, { source: who })
}
