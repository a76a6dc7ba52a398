import { createHmac, timingSafeEqual } from 'node:crypto'

/**
 * Two agents prove to each other, on a Noise connection, that they know the secret of the swarm. Who has opened the
 * connection begins, so that a stranger who knocks is told nothing. A proof holds for one connection and one direction:
 * it covers the hash of the handshake, the role of who gives it and both keys.
 */

const PROOF_BYTES = 32
/** Two secrets are in use while one is being changed. */
const MOST_PROOFS = 2

export interface Connection {
  readonly isInitiator: boolean
  readonly handshakeHash: Uint8Array
  readonly publicKey: Uint8Array
  readonly remotePublicKey: Uint8Array
}

/** `send` is to be sent, if there is something; then it is proven, refused, or there is more to come. */
export interface Step {
  readonly is: 'waiting' | 'proven' | 'refused'
  readonly send?: Buffer
}

export class Proof {
  readonly #connection: Connection
  readonly #keys: readonly Uint8Array[]
  #isOver = false

  constructor(connection: Connection, keys: readonly Uint8Array[]) {
    this.#connection = connection
    this.#keys = keys.slice(0, MOST_PROOFS)
  }

  begin(): Step {
    return this.#connection.isInitiator ? { is: 'waiting', send: this.#own() } : { is: 'waiting' }
  }

  /** What the other has said first. */
  hear(said: Uint8Array): Step {
    if (this.#isOver || !this.#isRight(said)) {
      this.#isOver = true
      return { is: 'refused' }
    }
    this.#isOver = true
    return this.#connection.isInitiator ? { is: 'proven' } : { is: 'proven', send: this.#own() }
  }

  #own(): Buffer {
    return Buffer.concat(
      this.#keys.map((key) => proofOf(this.#connection, key, this.#connection.isInitiator)),
    )
  }

  #isRight(said: Uint8Array): boolean {
    if (said.length === 0 || said.length > MOST_PROOFS * PROOF_BYTES || said.length % PROOF_BYTES !== 0)
      return false
    let isRight = false
    for (const key of this.#keys) {
      const expected = proofOf(this.#connection, key, !this.#connection.isInitiator)
      for (let at = 0; at < said.length; at += PROOF_BYTES) {
        // All are compared, whichever is right.
        isRight = timingSafeEqual(expected, said.subarray(at, at + PROOF_BYTES)) || isRight
      }
    }
    return isRight
  }
}

function proofOf(connection: Connection, key: Uint8Array, byInitiator: boolean): Buffer {
  const { isInitiator, handshakeHash, publicKey, remotePublicKey } = connection
  const [initiator, responder] = isInitiator ? [publicKey, remotePublicKey] : [remotePublicKey, publicKey]
  return createHmac('sha256', key)
    .update(byInitiator ? 'initiator' : 'responder')
    .update(handshakeHash)
    .update(initiator)
    .update(responder)
    .digest()
}
