import { createHmac, timingSafeEqual } from 'node:crypto'

/**
 * Two agents prove to each other, on a Noise connection, that they know the secret of the swarm. The agent that opened
 * the connection sends its proof first, so that a stranger who connects learns nothing from the agent that it called. A
 * proof is valid for one connection and one direction only, because it covers the hash of the handshake, the role of its
 * sender and both public keys.
 */

const PROOF_BYTES = 32
/** While the secret is being rotated an agent has two secrets, and sends a proof of each. */
const MAX_PROOFS = 2

/** What a proof covers: the role of this agent in the Noise handshake, the hash of the handshake and both keys. */
export interface NoiseHandshake {
  readonly isInitiator: boolean
  readonly handshakeHash: Uint8Array
  readonly publicKey: Uint8Array
  readonly remotePublicKey: Uint8Array
}

/** The state of the mutual proof, and the bytes to send now, if any. */
export interface ProofStep {
  readonly state: 'waiting' | 'proven' | 'refused'
  readonly send?: Buffer
}

/** This agent's side of the mutual proof on one connection. */
export class SecretProof {
  readonly #handshake: NoiseHandshake
  readonly #keys: readonly Uint8Array[]
  #isOver = false

  constructor(handshake: NoiseHandshake, keys: readonly Uint8Array[]) {
    this.#handshake = handshake
    this.#keys = keys.slice(0, MAX_PROOFS)
  }

  begin(): ProofStep {
    return this.#handshake.isInitiator ? { state: 'waiting', send: this.#ownProofs() } : { state: 'waiting' }
  }

  /** Takes the first bytes of the other end. All later calls refuse. */
  receive(proofs: Uint8Array): ProofStep {
    if (this.#isOver || !this.#isValid(proofs)) {
      this.#isOver = true
      return { state: 'refused' }
    }
    this.#isOver = true
    return this.#handshake.isInitiator ? { state: 'proven' } : { state: 'proven', send: this.#ownProofs() }
  }

  #ownProofs(): Buffer {
    const { isInitiator } = this.#handshake
    return Buffer.concat(this.#keys.map((key) => proofOf(this.#handshake, key, isInitiator)))
  }

  #isValid(proofs: Uint8Array): boolean {
    const { length } = proofs
    if (length === 0 || length > MAX_PROOFS * PROOF_BYTES || length % PROOF_BYTES !== 0) return false
    let isValid = false
    for (const key of this.#keys) {
      const expected = proofOf(this.#handshake, key, !this.#handshake.isInitiator)
      for (let at = 0; at < length; at += PROOF_BYTES) {
        // All proofs are compared, so that the time does not reveal which one is right.
        isValid = timingSafeEqual(expected, proofs.subarray(at, at + PROOF_BYTES)) || isValid
      }
    }
    return isValid
  }
}

function proofOf(handshake: NoiseHandshake, key: Uint8Array, isByInitiator: boolean): Buffer {
  const { isInitiator, handshakeHash, publicKey, remotePublicKey } = handshake
  const [initiator, responder] = isInitiator ? [publicKey, remotePublicKey] : [remotePublicKey, publicKey]
  return createHmac('sha256', key)
    .update(isByInitiator ? 'initiator' : 'responder')
    .update(handshakeHash)
    .update(initiator)
    .update(responder)
    .digest()
}
