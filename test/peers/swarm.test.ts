import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { before, describe, type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import DHT from 'hyperdht'
import type { NoiseStream } from 'hyperswarm'
import { type Bootstrap, startBootstrap } from '../../src/peers/bootstrap.ts'
import { encodeMessage, NOTHING } from '../../src/peers/gossip-messages.ts'
import { type Identity, identityOf } from '../../src/peers/identity.ts'
import { Proof } from '../../src/peers/proof.ts'
import { deriveSecret, type SwarmSecret } from '../../src/peers/secret.ts'
import { createSwarm, type Swarm, type SwarmOptions } from '../../src/peers/swarm.ts'
import { Hand, signOf } from '../../src/peers/testimony.ts'

const CHILD = fileURLToPath(new URL('./member-child.js', import.meta.url))
const LOCAL = { host: '127.0.0.1', port: 0 }
let secret: SwarmSecret
let otherSecret: SwarmSecret

before(async () => {
  secret = await deriveSecret('the secret of the swarm')
  otherSecret = await deriveSecret('the secret of another swarm')
})

interface Setting {
  readonly dht: Bootstrap
  start(given?: Partial<SwarmOptions>): Promise<Swarm>
}

/** With a DHT of its own. */
function swarmTest(title: string, run: (setting: Setting, t: TestContext) => Promise<void>): void {
  test(title, async (t) => {
    const dht = await startBootstrap({ listen: LOCAL, bootstrap: [], advertise: undefined })
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

/** Waits for what changes with the members; how long it took, in milliseconds. */
async function until(swarms: readonly Swarm[], holds: () => boolean, ms: number): Promise<number> {
  const startedAt = performance.now()
  const deadline = AbortSignal.timeout(ms)
  const ends: (() => void)[] = []
  try {
    await new Promise<void>((resolve, reject) => {
      const look = (): void => {
        if (holds()) resolve()
      }
      for (const swarm of swarms) ends.push(swarm.onChange(look))
      const views = () => swarms.map(({ status }, at) => [at, status.call(swarms[at])])
      deadline.addEventListener('abort', () =>
        reject(new Error(`not within ${ms} ms: ${JSON.stringify(views())}`)),
      )
      look()
    })
  } finally {
    for (const end of ends) end()
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
    'six that start together know each other in seconds, and who says goodbye is gone for all',
    async ({ start }, t) => {
      const swarms = await Promise.all(Array.from({ length: 6 }, () => start()))
      const known = await until(swarms, () => knowEachOther(swarms), 10_000)
      assert.deepEqual(swarms[0]?.get(swarms[1]?.self.id ?? swarms[0].self.id), swarms[1]?.self)
      const [leaving, ...staying] = swarms
      assert.ok(leaving)
      const stopped = leaving.stop()
      const gone = await until(staying, () => knowEachOther(staying), 3000)
      await stopped
      t.diagnostic(`all known after ${known} ms, gone after ${gone} ms`)
    },
  )

  swarmTest('one that starts again with its identity is seen at once, as it is now', async ({ start }, t) => {
    const identity = newIdentity()
    const staying = await Promise.all([start(), start()])
    const first = await start({ identity })
    await until([...staying, first], () => knowEachOther([...staying, first]), 10_000)
    await first.stop()
    const self = { ...first.self, incarnation: first.self.incarnation + 1, port: 6052 }
    const again = await start({ identity, self })
    const seen = await until([...staying, again], () => knowEachOther([...staying, again]), 10_000)
    assert.equal(again.self.id, first.self.id)
    assert.equal(staying[0]?.get(again.self.id)?.port, 6052)
    t.diagnostic(`seen after ${seen} ms`)
  })

  swarmTest(
    'any agent is a way into the swarm, and nobody needs the one that has gone',
    async ({ dht, start }, t) => {
      const first = await Promise.all([start(), start()])
      await until(first, () => knowEachOther(first), 10_000)
      await dht.stop()
      const address = first[0]?.status().dht
      assert.ok(address)
      const late = await start({ bootstrap: [address] })
      const all = [...first, late]
      const known = await until(all, () => knowEachOther(all), 15_000)
      t.diagnostic(`known after ${known} ms`)
    },
  )

  swarmTest('without a bootstrap node the first agent is one itself', async ({ start }) => {
    const first = await start({ bootstrap: [] })
    const address = first.status().dht
    assert.ok(address)
    const second = await start({ bootstrap: [address] })
    await until([first, second], () => knowEachOther([first, second]), 10_000)
  })

  swarmTest(
    'while the secret is being changed, the old and the new ones are one swarm',
    async ({ start }) => {
      const swarms = await Promise.all(
        [[otherSecret], [otherSecret, secret], [secret, otherSecret], [secret]].map((secrets) =>
          start({ secrets }),
        ),
      )
      await until(swarms, () => knowEachOther(swarms), 10_000)
    },
  )

  swarmTest('who does not know the secret is told nothing and listed nowhere', async ({ dht, start }) => {
    const identity = newIdentity()
    const [one, two] = await Promise.all([start({ identity }), start()])
    await until([one, two], () => knowEachOther([one, two]), 10_000)
    await withStranger(dht, identity, async (stream) => {
      const heard: Buffer[] = []
      stream.on('data', (bytes: Buffer) => heard.push(bytes))
      stream.write(randomBytes(32))
      await closing(stream)
      assert.deepEqual(heard, [])
    })
    await withStranger(dht, identity, async (stream) => {
      const heard: Buffer[] = []
      stream.on('data', (bytes: Buffer) => heard.push(bytes))
      const startedAt = performance.now()
      await closing(stream)
      const ms = performance.now() - startedAt
      assert.ok(ms > 3000 && ms < 8000, `closed after ${ms} ms`)
      assert.deepEqual(heard, [])
    })
    assert.ok(knowEachOther([one, two]))
    assert.deepEqual([one.status().refused, one.status().links], [2, 1])
  })

  swarmTest(
    'one who knows the secret, but sends garbage, far too much or what another is to have signed, is cut off',
    async ({ dht, start }) => {
      const [identity, other] = [newIdentity(), newIdentity()]
      const [one, two] = await Promise.all([start({ identity }), start({ identity: other })])
      await until([one, two], () => knowEachOther([one, two]), 10_000)
      const message = Buffer.from('{}')
      const hand = new Hand(newIdentity())
      const moved = { ...two.self, incarnation: two.self.incarnation + 1, port: 6666 }
      const testimony = { ...hand.testify(moved), key: other.publicKey.toString('base64url') }
      const forged = { testimony, sign: hand.sign('alive', signOf(moved, 0)) }
      const misdeeds = [
        [Buffer.from('garbage')],
        [Buffer.alloc(65_537, ' ')],
        Array<Buffer>(3000).fill(message),
        [Buffer.from('{"records":[[{"id":"x"},1]]}')],
        [encodeMessage({ ...NOTHING, records: [forged] })],
      ]
      for (const [at, misdeed] of misdeeds.entries()) {
        await withStranger(dht, identity, async (stream) => {
          const proof = new Proof(stream, [secret.proofKey])
          stream.write(proof.begin().send)
          const [answer] = await once(stream, 'data')
          assert.equal(proof.hear(answer).is, 'proven')
          const closed = closing(stream)
          for (const bytes of misdeed) stream.write(bytes)
          await closed
        })
        assert.deepEqual([one.status().refused, one.status().links], [at + 1, 1])
      }
    },
  )

  swarmTest('one that is killed is dropped in less than twenty seconds', async ({ dht, start }, t) => {
    const swarms = await Promise.all([start(), start()])
    const identity = identityOf(Buffer.alloc(32, 1))
    const args = ['the secret of the swarm', `${dht.address.host}:${dht.address.port}`, '01'.repeat(32)]
    const child = spawn(process.execPath, [CHILD, ...args], { stdio: 'inherit', timeout: 60_000 })
    try {
      await until(swarms, () => swarms.every((swarm) => swarm.get(identity.id)?.name === 'child'), 10_000)
    } finally {
      child.kill('SIGKILL')
    }
    const dropped = await until(
      swarms,
      () => swarms.every((swarm) => swarm.get(identity.id) === undefined),
      20_000,
    )
    assert.ok(knowEachOther(swarms))
    t.diagnostic(`dropped after ${dropped} ms`)
  })
})

function closing(stream: NoiseStream): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const deadline = setTimeout(() => reject(new Error('it is still open after 10 s')), 10_000)
    stream.once('close', () => {
      clearTimeout(deadline)
      resolve(undefined)
    })
  })
}

/** Connects to the agent as one who has learned its key. */
async function withStranger(
  dht: Bootstrap,
  to: Identity,
  use: (stream: NoiseStream) => Promise<void>,
): Promise<void> {
  const node = new DHT({ host: '127.0.0.1', bootstrap: [dht.address], ephemeral: false, firewalled: false })
  try {
    const stream = node.connect(to.publicKey)
    stream.on('error', () => {})
    await once(stream, 'open')
    await use(stream)
  } finally {
    await node.destroy()
  }
}
