import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { before, describe, type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import DHT from 'hyperdht'
import type { NoiseStream } from 'hyperswarm'
import { type BootstrapNode, startBootstrapNode } from '../../../src/peers/dht/bootstrap.ts'
import { type Identity, identityOf } from '../../../src/peers/identity/identity.ts'
import { SecretProof } from '../../../src/peers/identity/proof.ts'
import { deriveSecret, type SwarmSecret } from '../../../src/peers/identity/secret.ts'
import { heartbeatOf, Signer } from '../../../src/peers/identity/signed-record.ts'
import { EMPTY_MESSAGE, encodeMessage } from '../../../src/peers/membership/gossip-messages.ts'
import { createSwarm, type Swarm, type SwarmOptions } from '../../../src/peers/membership/swarm.ts'
import { within } from '../../../testkit/deadline.ts'

const MEMBER_PROCESS = fileURLToPath(new URL('./member-process.js', import.meta.url))
const LOCAL = { host: '127.0.0.1', port: 0 }
/** Bounds each wait, so that a test that would wait forever fails with a message. */
const DEADLINE_MS = 50_000
let secret: SwarmSecret
let otherSecret: SwarmSecret

before(async () => {
  secret = await deriveSecret('the secret of the swarm')
  otherSecret = await deriveSecret('the secret of another swarm')
})

interface Setting {
  readonly dht: BootstrapNode
  start(given?: Partial<SwarmOptions>): Promise<Swarm>
}

/** A test that has its own DHT. */
function swarmTest(title: string, run: (setting: Setting, t: TestContext) => Promise<void>): void {
  test(title, async (t) => {
    const dht = await startBootstrapNode({ listen: LOCAL, bootstrap: [], advertise: undefined })
    const started: Swarm[] = []
    try {
      await run(
        {
          dht,
          start: async (given = {}) => {
            const swarm = await newSwarm({ bootstrap: [dht.address], ...given })
            started.push(swarm)
            await swarm.start()
            return swarm
          },
        },
        t,
      )
    } finally {
      await Promise.all(started.map((swarm) => swarm.stop()))
      await dht.stop()
    }
  })
}

function newIdentity(): Identity {
  return identityOf(randomBytes(32))
}

function newSwarm(given: Partial<SwarmOptions>): Promise<Swarm> {
  return createSwarm({
    secrets: [secret],
    identity: newIdentity(),
    self: {
      incarnation: Date.now(),
      name: 'node',
      host: '127.0.0.1',
      port: 5052,
      fingerprint: 'ab'.repeat(32),
      zone: undefined,
      version: '0.1.0',
      protocol: 1,
    },
    dht: LOCAL,
    bootstrap: [],
    publicDht: false,
    ...given,
  })
}

/** Returns how many milliseconds it took until the condition held. */
async function until(swarms: readonly Swarm[], condition: () => boolean): Promise<number> {
  const startedAt = performance.now()
  while (!condition()) {
    const statuses = (): string => JSON.stringify(swarms.map((swarm) => swarm.status()))
    if (performance.now() - startedAt > DEADLINE_MS) assert.fail(`the condition does not hold: ${statuses()}`)
    await delay(10)
  }
  return Math.round(performance.now() - startedAt)
}

function knowEachOther(swarms: readonly Swarm[]): boolean {
  return swarms.every(
    (one) =>
      one.others().length === swarms.length - 1 &&
      swarms.every((two) => one === two || one.get(two.self.id)?.incarnation === two.self.incarnation),
  )
}

describe('a swarm', { concurrency: true }, () => {
  swarmTest(
    'six agents that start together find each other, and one that stops is removed by all because it said goodbye',
    async ({ start }, t) => {
      const swarms = await Promise.all(Array.from({ length: 6 }, () => start()))
      const knownMs = await until(swarms, () => knowEachOther(swarms))
      assert.deepEqual(swarms[0]?.get(swarms[1]?.self.id ?? swarms[0].self.id), swarms[1]?.self)
      const [leaving, ...staying] = swarms
      assert.ok(leaving)
      const stopped = leaving.stop()
      const removedMs = await until(staying, () => knowEachOther(staying))
      await stopped
      for (const swarm of staying) assert.equal(swarm.departure(leaving.self.id), 'left')
      t.diagnostic(`all known after ${knownMs} ms, removed after ${removedMs} ms`)
    },
  )

  swarmTest(
    'an agent that restarts with the same identity is known to all with its new record',
    async ({ start }, t) => {
      const identity = newIdentity()
      const staying = await Promise.all([start(), start()])
      const first = await start({ identity })
      await until([...staying, first], () => knowEachOther([...staying, first]))
      await first.stop()
      const self = { ...first.self, incarnation: first.self.incarnation + 1, port: 6052 }
      const again = await start({ identity, self })
      const seen = await until([...staying, again], () => knowEachOther([...staying, again]))
      assert.equal(again.self.id, first.self.id)
      assert.equal(staying[0]?.get(again.self.id)?.port, 6052)
      t.diagnostic(`seen after ${seen} ms`)
    },
  )

  swarmTest(
    'an agent can join through any other agent, also when the first bootstrap node is gone',
    async ({ dht, start }, t) => {
      const first = await Promise.all([start(), start()])
      await until(first, () => knowEachOther(first))
      await dht.stop()
      const address = first[0]?.status().dht
      assert.ok(address)
      const late = await start({ bootstrap: [address] })
      const all = [...first, late]
      const knownMs = await until(all, () => knowEachOther(all))
      t.diagnostic(`known after ${knownMs} ms`)
    },
  )

  swarmTest('an agent without bootstrap nodes is a bootstrap node for others', async ({ start }) => {
    const first = await start({ bootstrap: [] })
    const address = first.status().dht
    assert.ok(address)
    const second = await start({ bootstrap: [address] })
    await until([first, second], () => knowEachOther([first, second]))
  })

  swarmTest(
    'while the secret is being rotated, agents with the old and the new secret are in one swarm',
    async ({ start }) => {
      const swarms = await Promise.all(
        [[otherSecret], [otherSecret, secret], [secret, otherSecret], [secret]].map((secrets) =>
          start({ secrets }),
        ),
      )
      await until(swarms, () => knowEachOther(swarms))
    },
  )

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
    async ({ dht, start }) => {
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

  swarmTest(
    'an agent that is killed is removed from all lists, and no other agent is',
    async ({ dht, start }, t) => {
      // Short limits detect the broken links soon, and the clock of the gossip runs four times as fast.
      const fast = { limits: { keepAliveMs: 200, silentMs: 2000 }, now: () => 4 * performance.now() }
      const swarms = await Promise.all([start(fast), start(fast)])
      const identity = identityOf(Buffer.alloc(32, 1))
      const args = ['the secret of the swarm', `${dht.address.host}:${dht.address.port}`, '01'.repeat(32)]
      const child = spawn(process.execPath, [MEMBER_PROCESS, ...args], { stdio: 'inherit' })
      try {
        await until(swarms, () => swarms.every((swarm) => swarm.get(identity.id)?.name === 'child'))
      } finally {
        child.kill('SIGKILL')
      }
      const removedMs = await until(
        swarms,
        () => swarms.every((swarm) => swarm.get(identity.id) === undefined) && knowEachOther(swarms),
      )
      for (const swarm of swarms) assert.notEqual(swarm.departure(identity.id), 'left')
      t.diagnostic(`removed after ${removedMs} ms`)
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
