import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { describe } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import DHT from 'hyperdht'
import type { NoiseStream } from 'hyperswarm'
import type { BootstrapNode } from '../../../../src/peers/dht/bootstrap.ts'
import type { Identity } from '../../../../src/peers/identity/identity.ts'
import { SecretProof } from '../../../../src/peers/identity/proof.ts'
import { heartbeatOf, Signer } from '../../../../src/peers/identity/signed-record.ts'
import { EMPTY_MESSAGE } from '../../../../src/peers/membership/gossip/gossip-messages.ts'
import { encodeMessage } from '../../../../src/peers/membership/gossip/message-format.ts'
import { within } from '../../../../testkit/deadline.ts'
import { DEADLINE_MS, knowEachOther, newIdentity, swarmTest, until } from '../support/swarm-lab.ts'

describe('the links of an agent', { concurrency: true }, () => {
  swarmTest(
    'a stranger that does not know the secret receives nothing and appears in no list',
    async ({ dht, start }) => {
      const identity = newIdentity()
      const [one, two] = await Promise.all([start({ identity, limits: PATIENT }), start()])
      await until([one, two], () => knowEachOther([one, two]))
      await withStranger(dht, identity, async (stream) => {
        const received = receivedOn(stream)
        stream.write(randomBytes(32))
        await closeOf(stream)
        assert.deepEqual(received, [])
      })
      await until([one], () => one.status().refused === 1)
      await until([one, two], () => knowEachOther([one, two]) && one.status().links === 1)
    },
  )

  swarmTest('a stranger that sends no proof receives nothing and is disconnected', async ({ dht, start }) => {
    const identity = newIdentity()
    const proofMs = 300
    const one = await start({ identity, limits: { proofMs } })
    const startedAt = performance.now()
    // A connection may also fail because the DHT does not find the agent yet; only a refused link counts.
    while (one.status().refused === 0) {
      await withStranger(dht, identity, async (stream) => {
        const received = receivedOn(stream)
        await closeOf(stream)
        assert.deepEqual(received, [])
      })
    }
    assert.ok(performance.now() - startedAt >= proofMs - 1)
    assert.deepEqual([one.status().links, one.others()], [0, []])
  })

  swarmTest(
    'a member that sends malformed messages, too many messages or forged records is disconnected',
    async ({ dht, secret, start }) => {
      const [identity, other] = [newIdentity(), newIdentity()]
      const [one, two] = await Promise.all([
        start({ identity, limits: PATIENT }),
        start({ identity: other, limits: PATIENT }),
      ])
      await until([one, two], () => knowEachOther([one, two]))
      const message = Buffer.from('{}')
      const signer = new Signer(newIdentity())
      const moved = { ...two.self, incarnation: two.self.incarnation + 1, port: 6666 }
      const record = { ...signer.signRecord(moved), key: other.publicKey.toString('base64url') }
      const forged = { record, heartbeat: signer.signHeartbeat('alive', heartbeatOf(moved, 0)) }
      const violations = [
        [Buffer.from('garbage')],
        [Buffer.alloc(65_537, ' ')],
        Array<Buffer>(3000).fill(message),
        [Buffer.from('{"records":[[{"id":"x"},1]]}')],
        [encodeMessage({ ...EMPTY_MESSAGE, records: [forged] })],
      ]
      for (const [at, violation] of violations.entries()) {
        await withStranger(dht, identity, async (stream) => {
          const proof = new SecretProof(stream, [secret.proofKey])
          const answered = once(stream, 'data', { signal: endOf(stream) })
          stream.write(proof.begin().send)
          const [answer] = await answered
          assert.equal(proof.receive(answer).state, 'proven')
          // On a slow machine one batch may stay within the rate limit, so the stranger repeats it until it is refused.
          const end = endOf(stream)
          while (!end.aborted) {
            for (const bytes of violation) stream.write(bytes)
            await delay(10)
          }
        })
        await until([one], () => one.status().refused === at + 1 && one.status().links === 1)
      }
      assert.ok(knowEachOther([one, two]))
    },
  )
})

/** With this limit, no agent is refused because the machine is slow. */
const PATIENT = { proofMs: DEADLINE_MS }

function receivedOn(stream: NoiseStream): Buffer[] {
  const received: Buffer[] = []
  stream.on('data', (bytes: Buffer) => received.push(bytes))
  return received
}

/** A signal that aborts when the stream is closed. */
function endOf(stream: NoiseStream): AbortSignal {
  const end = new AbortController()
  stream.once('close', () => end.abort(new Error('the stream was closed')))
  if (stream.destroyed) end.abort(new Error('the stream was closed'))
  return end.signal
}

async function closeOf(stream: NoiseStream): Promise<void> {
  const end = endOf(stream)
  if (!end.aborted) await within(DEADLINE_MS, 'the end of the stream', once(end, 'abort'))
}

/** Connects to the agent by its public key, without the secret, and retries until a connection opens. */
async function withStranger(
  dht: BootstrapNode,
  to: Identity,
  use: (stream: NoiseStream) => Promise<void>,
): Promise<void> {
  const node = new DHT({ host: '127.0.0.1', bootstrap: [dht.address], ephemeral: false, firewalled: false })
  const startedAt = performance.now()
  try {
    for (;;) {
      const stream = node.connect(to.publicKey)
      stream.on('error', () => {})
      const isOpen = await once(stream, 'open', { signal: endOf(stream) }).then(
        () => true,
        () => false,
      )
      if (isOpen) return await use(stream)
      assert.ok(performance.now() - startedAt < DEADLINE_MS, 'no connection opens')
      await delay(50)
    }
  } finally {
    await node.destroy()
  }
}
