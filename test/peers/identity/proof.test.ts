import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { type NoiseHandshake, SecretProof } from '../../../src/peers/identity/proof.ts'

const NEW = randomBytes(32)
const OLD = randomBytes(32)

/** The handshake as both ends of one connection see it. */
function handshake(): [initiator: NoiseHandshake, responder: NoiseHandshake] {
  const [handshakeHash, one, two] = [randomBytes(64), randomBytes(32), randomBytes(32)]
  return [
    { isInitiator: true, handshakeHash, publicKey: one, remotePublicKey: two },
    { isInitiator: false, handshakeHash, publicKey: two, remotePublicKey: one },
  ]
}

/** The final states of the initiator and the responder, where each has the given keys. */
function finalStates(first: readonly Buffer[], second: readonly Buffer[]): string[] {
  const [initiator, responder] = handshake()
  const [one, two] = [new SecretProof(initiator, first), new SecretProof(responder, second)]
  const opening = one.begin().send
  assert.equal(two.begin().send, undefined, 'the responder sends nothing before it has received a proof')
  assert.ok(opening)
  const answer = two.receive(opening)
  return [answer.send === undefined ? 'waiting' : one.receive(answer.send).state, answer.state]
}

test('two agents that know the secret prove it to each other', () => {
  assert.deepEqual(finalStates([NEW], [NEW]), ['proven', 'proven'])
})

test('an agent that does not know the secret receives no proof, whether it is the initiator or the responder', () => {
  assert.deepEqual(finalStates([OLD], [NEW]), ['waiting', 'refused'])
  assert.deepEqual(finalStates([NEW], [OLD]), ['waiting', 'refused'])
})

test('while the secret is being rotated, both secrets are accepted by both ends', () => {
  for (const [first, second] of [
    [[NEW, OLD], [OLD]],
    [[OLD], [NEW, OLD]],
    [[NEW], [OLD, NEW]],
    [
      [NEW, OLD],
      [OLD, NEW],
    ],
  ] as const) {
    assert.deepEqual(finalStates(first, second), ['proven', 'proven'])
  }
})

test('a proof is not valid on another connection, for other keys, or sent back to its sender', () => {
  const [initiator, responder] = handshake()
  const opening = new SecretProof(initiator, [NEW]).begin().send
  assert.ok(opening)
  const other = { ...responder, handshakeHash: randomBytes(64) }
  assert.equal(new SecretProof(other, [NEW]).receive(opening).state, 'refused')
  assert.equal(
    new SecretProof({ ...responder, remotePublicKey: randomBytes(32) }, [NEW]).receive(opening).state,
    'refused',
  )
  assert.equal(
    new SecretProof({ ...responder, publicKey: randomBytes(32) }, [NEW]).receive(opening).state,
    'refused',
  )
  const sender = new SecretProof(initiator, [NEW])
  sender.begin()
  assert.equal(sender.receive(opening).state, 'refused')
})

test('a proof of a wrong length is refused, and so is a second attempt', () => {
  for (const malformed of [0, 1, 31, 33, 96, 65_536].map((length) => Buffer.alloc(length))) {
    const [initiator, responder] = handshake()
    const proof = new SecretProof(responder, [NEW])
    assert.equal(proof.receive(malformed).state, 'refused')
    const valid = new SecretProof(initiator, [NEW]).begin().send
    assert.ok(valid)
    assert.equal(proof.receive(valid).state, 'refused')
  }
})
