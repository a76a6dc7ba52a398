import * as v from 'valibot'
import { type Digest, parseDigest } from '../../../oci/digest.ts'
import { isRepositoryName, isTag } from '../../../oci/names/names.ts'
import { parseReference } from '../../../oci/names/reference.ts'
import { parseRegistryHost } from '../../../oci/names/registry-host.ts'
import { parsePlatform } from '../../../oci/platform.ts'
import { Failure } from '../../../ports/failure.ts'
import { ActivityReport } from '../../../schemas/peer-report.ts'
import { MAX_IMAGES, MAX_WAIT_MS, WarmDone, WarmedImage, WarmProgress } from '../../../schemas/warm-report.ts'
import { type MemberId, parseMemberId } from '../../identity/member.ts'

/**
 * The messages between agents. Each is validated where it arrives; an invalid message is a failure of the peer
 * that sent it. The property names and values are part of the protocol: `PEER_PROTOCOL` guards them.
 */

/** This many checkpoints, in base64, stay below `MAX_MESSAGE_BYTES`. */
export const MAX_CHECKPOINTS_PER_MESSAGE = 2048

/** Bounds the text of a `refused` message, which quotes the failure. */
const MAX_REFUSED_LENGTH = 1000

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
/** A rate in bytes per second. */
const rate = v.optional(v.pipe(amount, v.maxValue(1e12)))
const mediaType = v.nullable(v.pipe(v.string(), v.maxLength(255)))
const platform = v.pipe(
  v.string(),
  v.maxLength(100),
  v.check((text) => text === 'all' || parsePlatform(text).ok),
)
const beat = v.object({ is: v.literal('beat') })
/** The address of a member, and the fingerprint by which a connection checks that this member answers. */
export const Contact = v.object({
  id: memberId,
  /** Users see this name, so it is restricted like the name in a signed record. */
  name: v.pipe(v.string(), v.maxLength(255), v.regex(/^[^\p{C}"\\]*$/u)),
  host: v.pipe(v.string(), v.maxLength(255), v.regex(/^[\w.:-]+$/)),
  port: v.pipe(amount, v.minValue(1), v.maxValue(65_535)),
  fingerprint: v.pipe(v.string(), v.hexadecimal(), v.length(64)),
})
export type Contact = v.InferOutput<typeof Contact>
/** Checkpoints from number `first` on. */
const marks = v.object({
  is: v.literal('marks'),
  first: amount,
  marks: v.pipe(v.string(), v.maxLength(MAX_CHECKPOINTS_PER_MESSAGE * 22)),
})

/** The first message of an exchange. `ask` says what is asked, and so what follows. */
export const PeerRequest = v.variant('ask', [
  /** Asks the owner for a tracker session. The owner sends instructions and the member sends progress, until either ends it. */
  v.object({
    ask: v.literal('follow'),
    digest,
    kind,
    repository,
    position: amount,
    /** Where the member takes the content from already, by an instruction of another owner. */
    from: v.nullable(v.union([v.literal('upstream'), memberId])),
    /** The contact of the member itself, which the owner may not know from gossip yet. */
    self: Contact,
    zone: v.nullable(v.pipe(v.string(), v.maxLength(255))),
    /** Upstream has failed the member already, in the session with an earlier owner. */
    failed: v.optional(v.boolean()),
    /** The best rate at which the member has received anything lately. */
    best: rate,
  }),
  /**
   * Asks how much of a digest the member has, as `as` or, where an operator wants to know, in any repository. Answered
   * with `held`.
   */
  v.object({ ask: v.literal('has'), digest, as: v.nullable(v.object({ kind, repository })) }),
  /** Asks the owner of a tag what it refers to, or another member when the owner cannot reach upstream. Answered with `tag`. */
  v.object({
    ask: v.literal('tag'),
    repository,
    tag: v.pipe(v.string(), v.check(isTag)),
    /** Upstream itself must be asked, and no other member. */
    firsthand: v.optional(v.boolean()),
  }),
  /** Asks the member to warm so many images, which follow in messages of their own. Answered with progress until it is done. */
  v.object({
    ask: v.literal('warm'),
    images: v.pipe(amount, v.minValue(1), v.maxValue(MAX_IMAGES)),
    platforms: v.pipe(v.array(platform), v.maxLength(32)),
    referrers: v.boolean(),
    pin: v.boolean(),
    /** How long each image waits for a registry that does not answer; earlier versions do not send it. */
    waitMs: v.optional(v.pipe(amount, v.maxValue(MAX_WAIT_MS)), 0),
  }),
  /** Asks what the member does, for an operator who looks at the swarm. Answered with `activity`. */
  v.object({ ask: v.literal('activity') }),
])
export type PeerRequest = v.InferOutput<typeof PeerRequest>

/** Why a peer does not answer a request, or does not send a content. */
export const Refused = v.object({
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
  /** Users and logs show the text, so control characters are removed. */
  message: v.pipe(
    v.string(),
    v.maxLength(MAX_REFUSED_LENGTH),
    v.transform((text) => text.replace(/\p{C}+/gu, ' ')),
  ),
})

/** An instruction of the tracker to a participant. */
export const Instruction = v.variant('is', [
  v.object({ is: v.literal('take'), parent: Contact }),
  /** The participant asks upstream for all, and the others wait for it. */
  v.object({ is: v.literal('fetch') }),
  /** The participant asks upstream for itself, because no other participant can give the content. */
  v.object({ is: v.literal('alone') }),
  /** The session ends: upstream has failed every fetcher, and no participant has the content. */
  v.object({ is: v.literal('end') }),
  /** The participant waits: no other one that could be its parent has more than it. */
  v.object({ is: v.literal('wait') }),
  /** Nothing has changed, and the tracker is alive. */
  beat,
  marks,
  Refused,
])
export type Instruction = v.InferOutput<typeof Instruction>

/** The progress of a participant, which it reports to the tracker. */
export const Progress = v.variant('is', [
  /** `receives` is what a fetcher receives now, all its downloads together. */
  v.object({ is: v.literal('at'), position: amount, receives: rate }),
  /** The parent has failed. */
  v.object({ is: v.literal('lost'), parent: memberId }),
  /** The parent has sent wrong bytes. */
  v.object({ is: v.literal('blamed'), parent: memberId }),
  /** Upstream has failed this member. */
  v.object({ is: v.literal('failed') }),
  v.object({ is: v.literal('whole') }),
  marks,
])
export type Progress = v.InferOutput<typeof Progress>

export const HasAnswer = v.variant('is', [
  v.object({ is: v.literal('held'), position: amount, whole: v.boolean() }),
  Refused,
])

export const TagAnswer = v.variant('is', [
  v.object({ is: v.literal('tag'), digest, mediaType, ageMs: v.pipe(v.number(), v.minValue(0)) }),
  Refused,
])

export const ActivityAnswer = v.variant('is', [
  v.object({ is: v.literal('activity'), activity: ActivityReport }),
  Refused,
])

/** The messages of the requester after a `warm` request. */
export const WarmRequestMessage = v.variant('is', [
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
  /** The requester still wants the images. */
  beat,
])

/** The answers to a `warm` request. The first is `ready`: the images may be sent. */
export const WarmReply = v.variant('is', [
  v.object({ is: v.literal('ready') }),
  WarmProgress,
  WarmedImage,
  WarmDone,
  beat,
  Refused,
])

/** Throws a `Failure` that names the sender. */
export function parseMessage<Schema extends v.GenericSchema>(
  schema: Schema,
  message: unknown,
  peerName: string,
): v.InferOutput<Schema> {
  const parsed = v.safeParse(schema, message)
  if (parsed.success) return parsed.output
  throw new Failure('unavailable', `${peerName}: sent an invalid message`, { source: peerName })
}

/** The message that tells a peer why this node does not answer its request. */
export function refusedMessage(error: unknown): v.InferOutput<typeof Refused> {
  const code = error instanceof Failure ? error.code : 'unavailable'
  const message = error instanceof Error ? error.message.slice(0, MAX_REFUSED_LENGTH) : 'unknown error'
  return { is: 'refused', code, message }
}

export function failureOfRefused(
  peerName: string,
  { code, message }: v.InferOutput<typeof Refused>,
): Failure {
  return new Failure(code, `${peerName}: ${message}`, { source: peerName })
}
