import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { type Connection, Proof } from '../../../src/peers/identity/proof.ts'

const NEW = randomBytes(32)
const OLD = randomBytes(32)

/** Both ends of one connection. */
function connection(): [initiator: Connection, responder: Connection] {
  const [handshakeHash, one, two] = [randomBytes(64), randomBytes(32), randomBytes(32)]
  return [
    { isInitiator: true, handshakeHash, publicKey: one, remotePublicKey: two },
    { isInitiator: false, handshakeHash, publicKey: two, remotePublicKey: one },
  ]
}

/** How both end, where each has the keys given. */
function proving(first: readonly Buffer[], second: readonly Buffer[]): string[] {
  const [initiator, responder] = connection()
  const [one, two] = [new Proof(initiator, first), new Proof(responder, second)]
  const opening = one.begin().send
  assert.equal(two.begin().send, undefined, 'who was called says nothing before it has heard a proof')
  assert.ok(opening)
  const answer = two.hear(opening)
  return [answer.send === undefined ? 'waiting' : one.hear(answer.send).is, answer.is]
}

test('two who know the secret prove it to each other', () => {
  assert.deepEqual(proving([NEW], [NEW]), ['proven', 'proven'])
})

test('one who does not know it is told nothing, whoever has called', () => {
  assert.deepEqual(proving([OLD], [NEW]), ['waiting', 'refused'])
  assert.deepEqual(proving([NEW], [OLD]), ['waiting', 'refused'])
})

test('while the secret is being changed both are accepted, by either side', () => {
  for (const [first, second] of [
    [[NEW, OLD], [OLD]],
    [[OLD], [NEW, OLD]],
    [[NEW], [OLD, NEW]],
    [
      [NEW, OLD],
      [OLD, NEW],
    ],
  ] as const) {
    assert.deepEqual(proving(first, second), ['proven', 'proven'])
  }
})

test('a proof does not hold for another connection, for other keys, or sent back', () => {
  const [initiator, responder] = connection()
  const opening = new Proof(initiator, [NEW]).begin().send
  assert.ok(opening)
  const other = { ...responder, handshakeHash: randomBytes(64) }
  assert.equal(new Proof(other, [NEW]).hear(opening).is, 'refused')
  assert.equal(
    new Proof({ ...responder, remotePublicKey: randomBytes(32) }, [NEW]).hear(opening).is,
    'refused',
  )
  assert.equal(new Proof({ ...responder, publicKey: randomBytes(32) }, [NEW]).hear(opening).is, 'refused')
  const caller = new Proof(initiator, [NEW])
  caller.begin()
  assert.equal(caller.hear(opening).is, 'refused')
})

test('what is too long, too short or empty is refused, and so is a second try', () => {
  for (const said of [0, 1, 31, 33, 96, 65_536].map((length) => Buffer.alloc(length))) {
    const [initiator, responder] = connection()
    const proof = new Proof(responder, [NEW])
    assert.equal(proof.hear(said).is, 'refused')
    const right = new Proof(initiator, [NEW]).begin().send
    assert.ok(right)
    assert.equal(proof.hear(right).is, 'refused')
  }
})
