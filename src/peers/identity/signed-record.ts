import { sign, verify } from 'node:crypto'
import * as v from 'valibot'
import { publicKeyOf } from './ed25519.ts'
import { type Identity, memberIdOf, signingKeyOf } from './identity.ts'
import type { Member, MemberId } from './member.ts'

/**
 * What a member says of itself, under its signature: who passes it on can neither change nor invent it. Its key is the
 * one that its id follows from, so nothing else has to be known to tell whether it is right.
 */

/** Of one life of a member. */
export interface Testimony {
  /** As it was when the life began, without a load. */
  readonly member: Member
  /** In base64url, as is the signature. */
  readonly key: string
  readonly signature: string
  /** What is signed, as it came: what another version has added to it is passed on as well. */
  readonly statement: string
}

/** That a member was alive: of two signs the one of the later life, then with the later beat, is the later one. */
export interface Sign {
  readonly id: MemberId
  readonly incarnation: number
  readonly beat: number
  /** Of the member then; left out while that is none. */
  readonly load?: number
}

export interface SignedSign extends Sign {
  readonly signature: string
}

/** That it is there, or that it leaves. */
export type Kind = 'alive' | 'goodbye'

/** Whether a signature in base64url is the one of the key for what is said. */
export type Verify = (key: string, said: string, signature: string) => boolean

/** The year 10889: a life begins at the time of its start. */
export const LATEST_LIFE = 2 ** 48
/** More than anybody gives to at once. */
const MOST_LOAD = 2 ** 16
/** As it is written in a message, so that as many as are told at once fit into one. */
const MOST_BYTES = 2560

export const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0), v.maxValue(2 ** 52))
export const life = v.pipe(count, v.maxValue(LATEST_LIFE))
export const load = v.pipe(count, v.maxValue(MOST_LOAD))
/** For people and for dialing: neither control characters nor what JSON has to write in another way. */
const text = (length: number) => v.pipe(v.string(), v.maxLength(length), v.regex(/^[^\p{C}"\\]*$/u))

const Statement = v.object({
  incarnation: life,
  name: text(255),
  host: v.pipe(v.string(), v.maxLength(255), v.regex(/^[\w.:-]+$/)),
  port: v.pipe(count, v.minValue(1), v.maxValue(65_535)),
  fingerprint: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/)),
  zone: v.optional(text(255)),
  version: text(64),
  protocol: count,
})

/** Undefined for what states nothing; whether the signature is right has still to be found out. */
export function parseTestimony(key: string, signature: string, statement: string): Testimony | undefined {
  if (Buffer.byteLength(JSON.stringify(statement)) > MOST_BYTES) return undefined
  try {
    const { success, output } = v.safeParse(Statement, JSON.parse(statement))
    if (!success) return undefined
    const id = memberIdOf(Buffer.from(key, 'base64url'))
    return { member: { ...output, id, zone: output.zone, load: 0 }, key, signature, statement }
  } catch {
    return undefined
  }
}

/** With which a member signs. */
export class Hand {
  readonly #key: ReturnType<typeof signingKeyOf>
  readonly #publicKey: string

  constructor(identity: Identity) {
    this.#key = signingKeyOf(identity)
    this.#publicKey = identity.publicKey.toString('base64url')
  }

  testify(member: Member): Testimony {
    const { id: _, load: __, ...stated } = member
    const statement = JSON.stringify(stated)
    const signature = this.#sign(testified(statement))
    return { member: { ...member, load: 0 }, key: this.#publicKey, signature, statement }
  }

  sign(kind: Kind, said: Sign): SignedSign {
    return { ...said, signature: this.#sign(signed(kind, said)) }
  }

  #sign(said: string): string {
    return sign(null, Buffer.from(said), this.#key).toString('base64url')
  }
}

export function isTestimonyRight({ key, signature, statement }: Testimony, verifies: Verify): boolean {
  return verifies(key, testified(statement), signature)
}

export function isSignRight(kind: Kind, key: string, sign: SignedSign, verifies: Verify): boolean {
  return verifies(key, signed(kind, sign), sign.signature)
}

export function verifies(key: string, said: string, signature: string): boolean {
  const publicKey = publicKeyOf(Buffer.from(key, 'base64url'))
  return verify(null, Buffer.from(said), publicKey, Buffer.from(signature, 'base64url'))
}

export function signOf({ id, incarnation, load }: Member, beat: number): Sign {
  return load === 0 ? { id, incarnation, beat } : { id, incarnation, beat, load }
}

type Life = Pick<Sign, 'incarnation' | 'beat'>

export function isLater(one: Life, two: Life): boolean {
  return one.incarnation > two.incarnation || (one.incarnation === two.incarnation && one.beat > two.beat)
}

/** One kind of what is signed cannot be taken for another. */
function testified(statement: string): string {
  return `leat member ${statement}`
}

function signed(kind: Kind, { id, incarnation, beat, load = 0 }: Sign): string {
  return `leat ${kind} ${id} ${incarnation} ${beat} ${load}`
}
