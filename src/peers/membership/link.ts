import type { NoiseStream } from 'hyperswarm'
import { memberIdOf } from '../identity/identity.ts'
import type { MemberId } from '../identity/member.ts'
import { SecretProof } from '../identity/proof.ts'
import { encodeMessage, type Message, parseMessage } from './gossip-messages.ts'

export const KEEP_ALIVE_MS = 3000

export interface LinkLimits {
  /** A sign of incarnation is given so often. */
  readonly keepAliveMs: number
  /** Without one for so long the other end is given up. */
  readonly silentMs: number
  /** For the other end to prove that it knows the secret. */
  readonly proofMs: number
}

/** Two signs of incarnation may be lost. */
export const LINK_LIMITS: LinkLimits = { keepAliveMs: KEEP_ALIVE_MS, silentMs: 8000, proofMs: 5000 }
/** Far more than there is to say in a large swarm; who says more floods. */
const ALLOWED = {
  messages: { burst: 2000, perSecond: 500 },
  bytes: { burst: 8 * 2 ** 20, perSecond: 2 ** 20 },
}
/** Of what the other end has not taken. */
const MOST_BACKLOG = 8 * 2 ** 20

export interface LinkEvents {
  proven(link: Link): void
  /** False when it has lied: it is closed. */
  said(link: Link, message: Message): boolean
  /** `isRefused`: it was closed because of what the other end did. */
  closed(link: Link, isRefused: boolean): void
}

/** A Noise connection to another agent: nothing is said on it before both have proven that they know the secret. */
export class Link {
  readonly id: MemberId
  readonly #stream: NoiseStream
  readonly #events: LinkEvents
  readonly #proof: SecretProof
  readonly #limits: LinkLimits
  readonly #deadline: NodeJS.Timeout
  readonly #messages = new Allowance(ALLOWED.messages)
  readonly #bytes = new Allowance(ALLOWED.bytes)
  #isProven = false
  #isRefused = false
  #backlog = 0

  constructor(
    stream: NoiseStream,
    keys: readonly Uint8Array[],
    events: LinkEvents,
    limits: LinkLimits = LINK_LIMITS,
  ) {
    this.#stream = stream
    this.#events = events
    this.#limits = limits
    this.id = memberIdOf(stream.remotePublicKey)
    this.#proof = new SecretProof(stream, keys)
    this.#deadline = setTimeout(() => this.#refuse(), limits.proofMs)
    stream.on('data', (bytes: Uint8Array) => this.#hear(bytes))
    stream.on('drain', () => {
      this.#backlog = 0
    })
    // Why it broke is of no interest: it is looked for another one.
    stream.on('error', () => {})
    stream.on('end', () => stream.end())
    stream.on('close', () => {
      clearTimeout(this.#deadline)
      events.closed(this, this.#isRefused)
    })
    const { send } = this.#proof.begin()
    if (send !== undefined) stream.write(send)
  }

  get isProven(): boolean {
    return this.#isProven
  }

  say(message: Message): void {
    if (!this.#isProven || this.#stream.destroyed) return
    const bytes = encodeMessage(message)
    if (this.#stream.write(bytes)) return
    this.#backlog += bytes.length
    if (this.#backlog > MOST_BACKLOG) this.#refuse()
  }

  /** Resolves when the other end has taken everything. */
  async flush(): Promise<void> {
    await this.#stream.flush()
  }

  close(): void {
    this.#stream.destroy()
  }

  #refuse(): void {
    this.#isRefused = true
    this.close()
  }

  #hear(bytes: Uint8Array): void {
    // What was underway when it was closed is not heard any more.
    if (this.#isRefused) return
    const isFine = this.#isProven ? this.#hearMessage(bytes) : this.#hearProof(bytes)
    if (!isFine) this.#refuse()
  }

  #hearMessage(bytes: Uint8Array): boolean {
    const message = parseMessage(bytes)
    if (message === undefined || !this.#messages.take(1) || !this.#bytes.take(bytes.length)) return false
    return this.#events.said(this, message)
  }

  #hearProof(bytes: Uint8Array): boolean {
    const { state, send } = this.#proof.receive(bytes)
    if (state !== 'proven') return false
    if (send !== undefined) this.#stream.write(send)
    clearTimeout(this.#deadline)
    this.#isProven = true
    this.#stream.setKeepAlive(this.#limits.keepAliveMs)
    this.#stream.setTimeout(this.#limits.silentMs)
    this.#events.proven(this)
    return true
  }
}

/** So much at once, and so much per second. */
class Allowance {
  readonly #limits: { readonly burst: number; readonly perSecond: number }
  #left: number
  #at = performance.now()

  constructor(limits: { readonly burst: number; readonly perSecond: number }) {
    this.#limits = limits
    this.#left = limits.burst
  }

  take(amount: number): boolean {
    const now = performance.now()
    const { burst, perSecond } = this.#limits
    this.#left = Math.min(burst, this.#left + ((now - this.#at) * perSecond) / 1000) - amount
    this.#at = now
    return this.#left >= 0
  }
}
