import { sign, verify } from 'node:crypto'
import * as v from 'valibot'
import { publicKeyOf } from './ed25519.ts'
import { type Identity, memberIdOf, signingKeyOf } from './identity.ts'
import type { Member, MemberId } from './member.ts'

/**
 * What a member says of itself, under its signature, so that members that pass it on can neither change nor forge it.
 * The id of a member is a hash of its public key, which makes a signature verifiable without any other knowledge.
 */

/** What a member says of itself for one incarnation. */
export interface SignedRecord {
  readonly member: Member
  /** The public key in base64url. */
  readonly key: string
  /** In base64url. */
  readonly signature: string
  /** The signed JSON, exactly as received, so that fields that only newer versions know are passed on too. */
  readonly statement: string
}

/**
 * What a member signs from time to time to show that it is alive. Of two heartbeats of a member, the one with the higher incarnation is the later one;
 * within an incarnation, the one with the higher sequence number.
 */
export interface Heartbeat {
  readonly id: MemberId
  readonly incarnation: number
  readonly sequence: number
  /** Only heartbeats of older agents have a load. It is passed on because their signature covers it. */
  readonly load?: number
}

export interface SignedHeartbeat extends Heartbeat {
  readonly signature: string
}

/** A member's signed record with the latest heartbeat of the same incarnation. */
export interface RecordWithHeartbeat {
  readonly record: SignedRecord
  readonly heartbeat: SignedHeartbeat
}

/** A goodbye is the last heartbeat of a member, which says that it leaves the swarm. */
export type HeartbeatKind = 'alive' | 'goodbye'

/** Says whether `signature` (in base64url) is the signature of `text` by `key`. */
export type VerifySignature = (key: string, text: string, signature: string) => boolean

/** The incarnation is the start time of an agent in ms; this one is in the year 10889. */
export const MAX_INCARNATION = 2 ** 48
const MAX_LOAD = 2 ** 16
/** The length of a statement as JSON text. With it the most records of one message fit into the limit of a message. */
const MAX_STATEMENT_BYTES = 2560

export const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0), v.maxValue(2 ** 52))
export const incarnation = v.pipe(count, v.maxValue(MAX_INCARNATION))
export const load = v.pipe(count, v.maxValue(MAX_LOAD))
/** No control characters, since people read these texts, and none that JSON escapes, so that the length is bounded. */
const text = (maxLength: number) => v.pipe(v.string(), v.maxLength(maxLength), v.regex(/^[^\p{C}"\\]*$/u))

const Statement = v.object({
  incarnation,
  name: text(255),
  host: v.pipe(v.string(), v.maxLength(255), v.regex(/^[\w.:-]+$/)),
  port: v.pipe(count, v.minValue(1), v.maxValue(65_535)),
  fingerprint: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/)),
  zone: v.optional(text(255)),
  version: text(64),
  protocol: count,
})

/** Undefined if `statement` is malformed. Does not verify the signature: see `isRecordAuthentic`. */
export function parseRecord(key: string, signature: string, statement: string): SignedRecord | undefined {
  if (Buffer.byteLength(JSON.stringify(statement)) > MAX_STATEMENT_BYTES) return undefined
  try {
    const { success, output } = v.safeParse(Statement, JSON.parse(statement))
    if (!success) return undefined
    const id = memberIdOf(Buffer.from(key, 'base64url'))
    return { member: { ...output, id, zone: output.zone }, key, signature, statement }
  } catch {
    return undefined
  }
}

/** Signs the records and heartbeats of one member. */
export class Signer {
  readonly #key: ReturnType<typeof signingKeyOf>
  readonly #publicKey: string

  constructor(identity: Identity) {
    this.#key = signingKeyOf(identity)
    this.#publicKey = identity.publicKey.toString('base64url')
  }

  signRecord(member: Member): SignedRecord {
    const { id: _, ...stated } = member
    const statement = JSON.stringify(stated)
    const signature = this.#sign(signedTextOfRecord(statement))
    return { member, key: this.#publicKey, signature, statement }
  }

  signHeartbeat(kind: HeartbeatKind, heartbeat: Heartbeat): SignedHeartbeat {
    return { ...heartbeat, signature: this.#sign(signedTextOfHeartbeat(kind, heartbeat)) }
  }

  #sign(text: string): string {
    return sign(null, Buffer.from(text), this.#key).toString('base64url')
  }
}

export function isRecordAuthentic(
  { key, signature, statement }: SignedRecord,
  verifies: VerifySignature,
): boolean {
  return verifies(key, signedTextOfRecord(statement), signature)
}

export function isHeartbeatAuthentic(
  kind: HeartbeatKind,
  key: string,
  heartbeat: SignedHeartbeat,
  verifies: VerifySignature,
): boolean {
  return verifies(key, signedTextOfHeartbeat(kind, heartbeat), heartbeat.signature)
}

export function verifySignature(key: string, text: string, signature: string): boolean {
  const publicKey = publicKeyOf(Buffer.from(key, 'base64url'))
  return verify(null, Buffer.from(text), publicKey, Buffer.from(signature, 'base64url'))
}

export function heartbeatOf({ id, incarnation }: Member, sequence: number): Heartbeat {
  return { id, incarnation, sequence }
}

type Moment = Pick<Heartbeat, 'incarnation' | 'sequence'>

export function isLater(one: Moment, two: Moment): boolean {
  return (
    one.incarnation > two.incarnation || (one.incarnation === two.incarnation && one.sequence > two.sequence)
  )
}

/** The prefix differs from those of heartbeats, so that the signature of one kind of text is not valid for another. */
function signedTextOfRecord(statement: string): string {
  return `leat member ${statement}`
}

function signedTextOfHeartbeat(
  kind: HeartbeatKind,
  { id, incarnation, sequence, load = 0 }: Heartbeat,
): string {
  return `leat ${kind} ${id} ${incarnation} ${sequence} ${load}`
}
