import type { NoiseStream } from 'hyperswarm'
import { memberIdOf } from '../../identity/identity.ts'
import type { MemberId } from '../../identity/member.ts'
import { SecretProof } from '../../identity/proof.ts'
import type { GossipMessage } from '../gossip/gossip-messages.ts'
import { encodeMessage, parseMessage } from '../gossip/message-format.ts'

export interface LinkLimits {
  /** How often the stream sends a keep-alive. */
  readonly keepAliveMs: number
  /** The link is closed when nothing was received for this time. */
  readonly silentMs: number
  /** The other end must prove within this time that it knows the secret. */
  readonly proofMs: number
}

/** With these values a link is closed when two keep-alives in a row are missing. */
export const DEFAULT_LINK_LIMITS: LinkLimits = { keepAliveMs: 3000, silentMs: 8000, proofMs: 5000 }
/** Far more than a member of a large swarm sends: a faster sender floods this node. */
const RECEIVE_LIMITS = {
  messages: { burst: 2000, perSecond: 500 },
  bytes: { burst: 8 * 2 ** 20, perSecond: 2 ** 20 },
}
/** Bounds the memory for messages that the other end does not read. */
const MAX_UNSENT_BYTES = 8 * 2 ** 20

export interface LinkListener {
  /** The other end has proven that it knows the secret. */
  onProven(link: Link): void
  /** Returns whether the message is honest; otherwise the link is closed. */
  onMessage(link: Link, message: GossipMessage): boolean
  /** `isRefused`: this node closed the link because of what the other end did. */
  onClosed(link: Link, isRefused: boolean): void
}

/** A Noise connection to another agent. It carries messages once both ends have proven that they know the secret. */
export class Link {
  /** The member at the other end. The Noise handshake proves that it has the key of this id. */
  readonly id: MemberId
  readonly #stream: NoiseStream
  readonly #listener: LinkListener
  readonly #proof: SecretProof
  readonly #limits: LinkLimits
  readonly #proofTimeout: NodeJS.Timeout
  readonly #messageAllowance = new RateAllowance(RECEIVE_LIMITS.messages)
  readonly #byteAllowance = new RateAllowance(RECEIVE_LIMITS.bytes)
  #isProven = false
  #isRefused = false
  #unsentBytes = 0

  constructor(
    stream: NoiseStream,
    proofKeys: readonly Uint8Array[],
    listener: LinkListener,
    limits: LinkLimits = DEFAULT_LINK_LIMITS,
  ) {
    this.#stream = stream
    this.#listener = listener
    this.#limits = limits
    this.id = memberIdOf(stream.remotePublicKey)
    this.#proof = new SecretProof(stream, proofKeys)
    this.#proofTimeout = setTimeout(() => this.#refuse(), limits.proofMs)
    stream.on('data', (bytes: Uint8Array) => this.#receive(bytes))
    stream.on('drain', () => {
      this.#unsentBytes = 0
    })
    // The reason does not matter: after any error the swarm looks for another link.
    stream.on('error', () => {})
    stream.on('end', () => stream.end())
    stream.on('close', () => {
      clearTimeout(this.#proofTimeout)
      listener.onClosed(this, this.#isRefused)
    })
    const { send } = this.#proof.begin()
    if (send !== undefined) stream.write(send)
  }

  send(message: GossipMessage): void {
    if (!this.#isProven || this.#stream.destroyed) return
    const bytes = encodeMessage(message)
    if (this.#stream.write(bytes)) return
    this.#unsentBytes += bytes.length
    if (this.#unsentBytes > MAX_UNSENT_BYTES) this.#refuse()
  }

  /** Resolves when the other end has received everything that was sent. */
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

  #receive(bytes: Uint8Array): void {
    // The stream may still emit data that it had buffered when the link was refused.
    if (this.#isRefused) return
    const isAccepted = this.#isProven ? this.#receiveMessage(bytes) : this.#receiveProof(bytes)
    if (!isAccepted) this.#refuse()
  }

  #receiveMessage(bytes: Uint8Array): boolean {
    const message = parseMessage(bytes)
    if (message === undefined || !this.#messageAllowance.take(1) || !this.#byteAllowance.take(bytes.length)) {
      return false
    }
    return this.#listener.onMessage(this, message)
  }

  #receiveProof(bytes: Uint8Array): boolean {
    const { state, send } = this.#proof.receive(bytes)
    if (state !== 'proven') return false
    if (send !== undefined) this.#stream.write(send)
    clearTimeout(this.#proofTimeout)
    this.#isProven = true
    this.#stream.setKeepAlive(this.#limits.keepAliveMs)
    this.#stream.setTimeout(this.#limits.silentMs)
    this.#listener.onProven(this)
    return true
  }
}

/** A token bucket: allows `burst` at once, and `perSecond` on average. */
class RateAllowance {
  readonly #limits: { readonly burst: number; readonly perSecond: number }
  #left: number
  #refilledAt = performance.now()

  constructor(limits: { readonly burst: number; readonly perSecond: number }) {
    this.#limits = limits
    this.#left = limits.burst
  }

  /** Returns whether the amount was within the limit. */
  take(amount: number): boolean {
    const now = performance.now()
    const { burst, perSecond } = this.#limits
    this.#left = Math.min(burst, this.#left + ((now - this.#refilledAt) * perSecond) / 1000) - amount
    this.#refilledAt = now
    return this.#left >= 0
  }
}
