import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { afterEach, before, beforeEach, test } from 'node:test'
import DHT from 'hyperdht'
import type { NoiseStream } from 'hyperswarm'
import { type Bootstrap, startBootstrap } from '../../src/peers/bootstrap.ts'
import { type Identity, identityOf } from '../../src/peers/identity.ts'
import { deriveSecret, type SwarmSecret } from '../../src/peers/secret.ts'
import { createSwarm, type Swarm, type SwarmOptions } from '../../src/peers/swarm.ts'

const LOCAL = { host: '127.0.0.1', port: 0 }
let secret: SwarmSecret
let otherSecret: SwarmSecret
let dht: Bootstrap
const running = new Set<Swarm>()

before(async () => {
  secret = await deriveSecret('the secret of the swarm')
  otherSecret = await deriveSecret('the secret of another swarm')
})

beforeEach(async () => {
  dht = await startBootstrap({ listen: LOCAL, bootstrap: [], advertise: undefined })
})

afterEach(async () => {
  await Promise.all([...running].map(stop))
  await dht.stop()
})

function newIdentity(): Identity {
  return identityOf(randomBytes(32))
}

async function start(given: Partial<SwarmOptions> = {}): Promise<Swarm> {
  const swarm = await createSwarm({
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
    bootstrap: [dht.address],
    publicDht: false,
    ...given,
  })
  running.add(swarm)
  await swarm.start()
  return swarm
}

async function stop(swarm: Swarm): Promise<void> {
  running.delete(swarm)
  await swarm.stop()
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

test('six that start together know each other in seconds, and who says goodbye is gone for all', async (t) => {
  const swarms = await Promise.all(Array.from({ length: 6 }, () => start()))
  const known = await until(swarms, () => knowEachOther(swarms), 10_000)
  assert.deepEqual(swarms[0]?.get(swarms[1]?.self.id ?? swarms[0].self.id), swarms[1]?.self)
  const [leaving, ...staying] = swarms
  assert.ok(leaving)
  const stopped = stop(leaving)
  const gone = await until(staying, () => knowEachOther(staying), 3000)
  await stopped
  t.diagnostic(`all known after ${known} ms, gone after ${gone} ms`)
})

test('one that starts again with its identity is seen at once, as it is now', async (t) => {
  const identity = newIdentity()
  const staying = await Promise.all([start(), start()])
  const first = await start({ identity })
  await until([...staying, first], () => knowEachOther([...staying, first]), 10_000)
  await stop(first)
  const self = { ...first.self, incarnation: first.self.incarnation + 1, port: 6052 }
  const again = await start({ identity, self })
  const seen = await until([...staying, again], () => knowEachOther([...staying, again]), 10_000)
  assert.equal(again.self.id, first.self.id)
  assert.equal(staying[0]?.get(again.self.id)?.port, 6052)
  t.diagnostic(`seen after ${seen} ms`)
})

test('any agent is a way into the swarm, and nobody needs the one that has gone', async (t) => {
  const first = await Promise.all([start(), start()])
  await until(first, () => knowEachOther(first), 10_000)
  await dht.stop()
  const address = first[0]?.status().dht
  assert.ok(address)
  const late = await start({ bootstrap: [address] })
  const all = [...first, late]
  const known = await until(all, () => knowEachOther(all), 15_000)
  t.diagnostic(`known after ${known} ms`)
})

test('without a bootstrap node the first agent is one itself', async () => {
  const first = await start({ bootstrap: [] })
  const address = first.status().dht
  assert.ok(address)
  const second = await start({ bootstrap: [address] })
  await until([first, second], () => knowEachOther([first, second]), 10_000)
})

test('while the secret is being changed, the old and the new ones are one swarm', async () => {
  const swarms = await Promise.all(
    [[otherSecret], [otherSecret, secret], [secret, otherSecret], [secret]].map((secrets) =>
      start({ secrets }),
    ),
  )
  await until(swarms, () => knowEachOther(swarms), 10_000)
})

test('who does not know the secret is told nothing and listed nowhere', async () => {
  const identity = newIdentity()
  const [one, two] = await Promise.all([start({ identity }), start()])
  await until([one, two], () => knowEachOther([one, two]), 10_000)
  await withStranger(identity, async (stream) => {
    const heard: Buffer[] = []
    stream.on('data', (bytes: Buffer) => heard.push(bytes))
    stream.write(randomBytes(32))
    await new Promise<void>((resolve) => stream.once('close', () => resolve()))
    assert.deepEqual(heard, [])
  })
  await withStranger(identity, async (stream) => {
    const heard: Buffer[] = []
    stream.on('data', (bytes: Buffer) => heard.push(bytes))
    const startedAt = performance.now()
    await new Promise<void>((resolve) => stream.once('close', () => resolve()))
    const ms = performance.now() - startedAt
    assert.ok(ms > 3000 && ms < 8000, `closed after ${ms} ms`)
    assert.deepEqual(heard, [])
  })
  assert.ok(knowEachOther([one, two]))
  assert.deepEqual([one.status().refused, one.status().links], [2, 1])
})

/** Connects to the agent as one who has learned its key. */
async function withStranger(to: Identity, use: (stream: NoiseStream) => Promise<void>): Promise<void> {
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
