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
import { encodeMessage, NOTHING } from '../../../src/peers/membership/gossip-messages.ts'
import { createSwarm, type Swarm, type SwarmOptions } from '../../../src/peers/membership/swarm.ts'
import { within } from '../../../testkit/deadline.ts'

const CHILD = fileURLToPath(new URL('../member-child.js', import.meta.url))
const LOCAL = { host: '127.0.0.1', port: 0 }
/** Only so that what never happens is told: none of it is measured. */
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

/** With a DHT of its own. */
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
    uploads: () => 0,
    dht: LOCAL,
    bootstrap: [],
    publicDht: false,
    ...given,
  })
}

/** How long it took, in milliseconds. */
async function until(swarms: readonly Swarm[], holds: () => boolean): Promise<number> {
  const startedAt = performance.now()
  while (!holds()) {
    const views = (): string => JSON.stringify(swarms.map((swarm) => swarm.status()))
    if (performance.now() - startedAt > DEADLINE_MS) assert.fail(`it has not come to that: ${views()}`)
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
    'six that start together know each other, and who says goodbye is gone for all by its own word',
    async ({ start }, t) => {
      const swarms = await Promise.all(Array.from({ length: 6 }, () => start()))
      const known = await until(swarms, () => knowEachOther(swarms))
      assert.deepEqual(swarms[0]?.get(swarms[1]?.self.id ?? swarms[0].self.id), swarms[1]?.self)
      const [leaving, ...staying] = swarms
      assert.ok(leaving)
      const stopped = leaving.stop()
      const gone = await until(staying, () => knowEachOther(staying))
      await stopped
      for (const swarm of staying) assert.equal(swarm.departure(leaving.self.id), 'left')
      t.diagnostic(`all known after ${known} ms, gone after ${gone} ms`)
    },
  )

  swarmTest('one that starts again with its identity is seen at once, as it is now', async ({ start }, t) => {
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
  })

  swarmTest(
    'any agent is a way into the swarm, and nobody needs the one that has gone',
    async ({ dht, start }, t) => {
      const first = await Promise.all([start(), start()])
      await until(first, () => knowEachOther(first))
      await dht.stop()
      const address = first[0]?.status().dht
      assert.ok(address)
      const late = await start({ bootstrap: [address] })
      const all = [...first, late]
      const known = await until(all, () => knowEachOther(all))
      t.diagnostic(`known after ${known} ms`)
    },
  )

  swarmTest('without a bootstrap node the first agent is one itself', async ({ start }) => {
    const first = await start({ bootstrap: [] })
    const address = first.status().dht
    assert.ok(address)
    const second = await start({ bootstrap: [address] })
    await until([first, second], () => knowEachOther([first, second]))
  })

  swarmTest(
    'while the secret is being changed, the old and the new ones are one swarm',
    async ({ start }) => {
      const swarms = await Promise.all(
        [[otherSecret], [otherSecret, secret], [secret, otherSecret], [secret]].map((secrets) =>
          start({ secrets }),
        ),
      )
      await until(swarms, () => knowEachOther(swarms))
    },
  )

  swarmTest('who does not know the secret is told nothing and listed nowhere', async ({ dht, start }) => {
    const identity = newIdentity()
    const [one, two] = await Promise.all([start({ identity, limits: PATIENT }), start()])
    await until([one, two], () => knowEachOther([one, two]))
    await withStranger(dht, identity, async (stream) => {
      const heard = heardOn(stream)
      stream.write(randomBytes(32))
      await closeOf(stream)
      assert.deepEqual(heard, [])
    })
    await until([one], () => one.status().refused === 1)
    await until([one, two], () => knowEachOther([one, two]) && one.status().links === 1)
  })

  swarmTest('who proves nothing is not waited for, and is told nothing', async ({ dht, start }) => {
    const identity = newIdentity()
    const proofMs = 300
    const one = await start({ identity, limits: { proofMs } })
    const startedAt = performance.now()
    // An agent that others do not find yet, or that closes at once, is no answer to the question.
    while (one.status().refused === 0) {
      await withStranger(dht, identity, async (stream) => {
        const heard = heardOn(stream)
        await closeOf(stream)
        assert.deepEqual(heard, [])
      })
    }
    assert.ok(performance.now() - startedAt >= proofMs - 1)
    assert.deepEqual([one.status().links, one.others()], [0, []])
  })

  swarmTest(
    'one who knows the secret, but sends garbage, far too much or what another is to have signed, is cut off',
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
      const forged = { record, sign: signer.signHeartbeat('alive', heartbeatOf(moved, 0)) }
      const misdeeds = [
        [Buffer.from('garbage')],
        [Buffer.alloc(65_537, ' ')],
        Array<Buffer>(3000).fill(message),
        [Buffer.from('{"records":[[{"id":"x"},1]]}')],
        [encodeMessage({ ...NOTHING, records: [forged] })],
      ]
      for (const [at, misdeed] of misdeeds.entries()) {
        await withStranger(dht, identity, async (stream) => {
          const proof = new SecretProof(stream, [secret.proofKey])
          const answered = once(stream, 'data', { signal: endOf(stream) })
          stream.write(proof.begin().send)
          const [answer] = await answered
          assert.equal(proof.receive(answer).state, 'proven')
          // What is too much in a second is not when it comes slowly: it goes on until that is noticed.
          const end = endOf(stream)
          while (!end.aborted) {
            for (const bytes of misdeed) stream.write(bytes)
            await delay(10)
          }
        })
        await until([one], () => one.status().refused === at + 1 && one.status().links === 1)
      }
      assert.ok(knowEachOther([one, two]))
    },
  )

  swarmTest('one that is killed is dropped, and nobody else is', async ({ dht, start }, t) => {
    // Its links are given up sooner than usual, and what is told of that passes faster.
    const quick = { limits: { keepAliveMs: 200, silentMs: 2000 }, now: () => 4 * performance.now() }
    const swarms = await Promise.all([start(quick), start(quick)])
    const identity = identityOf(Buffer.alloc(32, 1))
    const args = ['the secret of the swarm', `${dht.address.host}:${dht.address.port}`, '01'.repeat(32)]
    const child = spawn(process.execPath, [CHILD, ...args], { stdio: 'inherit' })
    try {
      await until(swarms, () => swarms.every((swarm) => swarm.get(identity.id)?.name === 'child'))
    } finally {
      child.kill('SIGKILL')
    }
    const dropped = await until(
      swarms,
      () => swarms.every((swarm) => swarm.get(identity.id) === undefined) && knowEachOther(swarms),
    )
    for (const swarm of swarms) assert.notEqual(swarm.departure(identity.id), 'left')
    t.diagnostic(`dropped after ${dropped} ms`)
  })
})

/** Nobody is sent away for having been slow. */
const PATIENT = { proofMs: DEADLINE_MS }

function heardOn(stream: NoiseStream): Buffer[] {
  const heard: Buffer[] = []
  stream.on('data', (bytes: Buffer) => heard.push(bytes))
  return heard
}

/** Aborted when it is closed. */
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

/** Connects to the agent as one who has learned its key; again, where a connection does not come about. */
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
      assert.ok(performance.now() - startedAt < DEADLINE_MS, 'no connection comes about')
      await delay(50)
    }
  } finally {
    await node.destroy()
  }
}
