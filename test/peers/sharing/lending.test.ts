import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { beforeEach, describe, it, type TestContext } from 'node:test'
import { startLog } from '../../../src/observe/log.ts'
import type { Lend } from '../../../src/peers/sharing/lending.ts'
import type { FaultyUpstream } from '../../../testkit/registries/faulty-upstream.ts'
import { type Node, type NodeOptions, REPOSITORY } from '../cluster.ts'
import { ALICE, BOB, bringFromUpstream, customersOf, upstreamFor } from '../support/customers.ts'

const BYTES = randomBytes(1000)
/** Longer than anything takes here. */
const LEND_MS = 45_000

let upstream: FaultyUpstream

beforeEach(async (t) => {
  upstream = await upstreamFor(t as TestContext)
})

const clusterOf = (t: TestContext, members: readonly NodeOptions[]) => customersOf(upstream, t, members)

async function bring(node: Node, name: string): Promise<void> {
  const { position } = await bringFromUpstream(node, upstream.addBlob(BYTES), name)
  assert.equal(position, BYTES.length)
}

/** Repositories until there is one for which `done`: who is asked for its token is drawn by lot. */
async function bringUntil(node: Node, done: () => boolean): Promise<string> {
  for (let at = 0; at < 50; at += 1) {
    const name = `app-${at}`
    await bring(node, name)
    if (done()) return name
  }
  return assert.fail('nobody was asked')
}

const asked = () => upstream.requests.filter(({ path }) => path.startsWith('/token'))
const tokensOf = (name: string): string[] =>
  asked().flatMap(({ path, headers }) =>
    path.includes(encodeURIComponent(`:${name}:`)) ? (headers.authorization ?? 'anonymous') : [],
  )
const basicOf = ({ username, password }: typeof ALICE): string =>
  `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`

describe('a token of a registry', () => {
  it('is asked for once by all who have the same credential', async (t) => {
    upstream.requireBearer({ basic: ALICE })
    const cluster = await clusterOf(t, Array(8).fill({ upstream: ALICE }))
    const blobs = cluster.nodes.map(() => randomBytes(5000))
    const got = await Promise.all(
      cluster.nodes.map((node, at) => node.pull(upstream.addBlob(blobs[at] ?? BYTES))),
    )
    for (const [at, { bytes }] of got.entries()) assert.ok(bytes.equals(blobs[at] ?? BYTES))
    assert.equal(upstream.tokensIssued, 1)
  })

  it('is asked for once by all who have none', async (t) => {
    upstream.requireBearer()
    const cluster = await clusterOf(t, Array(6).fill({}))
    await Promise.all(cluster.nodes.map((node) => bring(node, 'app')))
    assert.equal(upstream.tokensIssued, 1)
    await Promise.all(cluster.nodes.map((node) => bring(node, 'other')))
    assert.equal(upstream.tokensIssued, 2, 'for another repository it is another one')
  })

  it('is never given to who has another credential, or none', async (t) => {
    upstream.requireBearer()
    const kinds = [{ upstream: ALICE }, { upstream: BOB }, {}]
    const cluster = await clusterOf(t, [...kinds, ...kinds, ...kinds])
    await Promise.all(cluster.nodes.map((node) => bring(node, 'app')))
    await Promise.all(cluster.nodes.map((node) => bring(node, 'app')))
    const given = tokensOf('app')
    for (const who of [basicOf(ALICE), basicOf(BOB), 'anonymous']) {
      // Who would be asked may have another credential: then some ask for themselves.
      assert.ok(given.includes(who))
    }
    for (const node of cluster.nodes) {
      const { upstream: entry } = kinds[cluster.nodes.indexOf(node) % kinds.length] ?? {}
      const own = entry === undefined ? 'anonymous' : basicOf(entry)
      const before = upstream.requests.length
      await bring(node, 'app')
      const [used] = upstream.requests.slice(before)
      const number = Number(/^Bearer token-(\d+)-/.exec(used?.headers.authorization ?? '')?.[1])
      assert.equal(given[number - 1], own, `${node.name} uses a token of ${given[number - 1]}`)
    }
  })

  it('is got by a node itself, at once, when whoever is asked has another credential', async (t) => {
    upstream.requireBearer()
    let refused = 0
    const lend: Lend = async (terms, isSame, options) => {
      const lent = await other.upstreams.lend(terms, isSame, options)
      if (lent === undefined) refused += 1
      return lent
    }
    const patience = { lendMs: LEND_MS }
    const cluster = await clusterOf(t, [
      { upstream: ALICE, patience },
      { upstream: BOB, lend },
    ])
    const [node, other] = cluster.nodes as [Node, Node]
    const began = performance.now()
    const name = await bringUntil(node, () => refused > 0)
    assert.ok(performance.now() - began < LEND_MS, 'it waits for no more than the refusal')
    assert.deepEqual(tokensOf(name), [basicOf(ALICE)])
  })

  it('is got by a node itself a while later when whoever is asked is silent, who is then left alone', async (t) => {
    upstream.requireBearer()
    const lendMs = 300
    const cluster = await clusterOf(t, [{ patience: { lendMs } }, {}])
    const [node, mute] = cluster.nodes as [Node, Node]
    let connections = 0
    const silent = createServer((socket) => {
      connections += 1
      socket.on('error', () => {}).resume()
      t.after(() => socket.destroy())
    })
    await once(silent.listen(0, '127.0.0.1'), 'listening')
    t.after(() => silent.close())
    cluster.move(mute, (silent.address() as AddressInfo).port)
    const began = performance.now()
    await bringUntil(node, () => connections > 0)
    const ms = performance.now() - began
    assert.ok(ms >= lendMs - 1, `${ms} ms`)
    for (let at = 100; at < 110; at += 1) await bring(node, `app-${at}`)
    assert.equal(connections, 1)
  })

  it('is got by a node itself when the token service does not answer whoever is asked', async (t) => {
    upstream.requireBearer()
    let lent = 0
    const lend: Lend = (terms, isSame, options) => {
      lent += 1
      upstream.fault('/token', { silent: true, times: 1 })
      return other.upstreams.lend(terms, isSame, options)
    }
    const cluster = await clusterOf(t, [{ patience: { lendMs: 1000 } }, { lend }])
    const [node, other] = cluster.nodes as [Node, Node]
    const name = await bringUntil(node, () => lent > 0)
    assert.equal(tokensOf(name).length, 2)
    upstream.release()
  })

  it('that is refused upstream is not taken from others again', async (t) => {
    upstream.requireBearer()
    let lies = 0
    const lend: Lend = async () => {
      lies += 1
      return { token: `lie-${lies}`, lifetimeMs: 3_600_000 }
    }
    const cluster = await clusterOf(t, [{}, { lend }])
    const [node] = cluster.nodes as [Node]
    const name = await bringUntil(node, () => lies > 0)
    assert.equal(tokensOf(name).length, 1)
    await bring(node, name)
    assert.equal(lies, 1)
    const used = upstream.requests.filter(({ headers }) => headers.authorization === 'Bearer lie-1')
    assert.equal(used.length, 1)
  })

  it('of a shape that no token has, or for longer than any, is none', async (t) => {
    upstream.requireBearer()
    const wrong = [
      { token: 'two words', lifetimeMs: 1000 },
      { token: 'line\r\nx-header: 1', lifetimeMs: 1000 },
      { token: '', lifetimeMs: 1000 },
      { token: 'x'.repeat(33_000), lifetimeMs: 1000 },
      { token: 'for-ever', lifetimeMs: Number.MAX_SAFE_INTEGER },
      { token: 'negative', lifetimeMs: -1 },
    ]
    for (const loan of wrong) {
      let lies = 0
      const lend: Lend = async () => {
        lies += 1
        return loan
      }
      const cluster = await clusterOf(t, [{}, { lend }])
      const [node] = cluster.nodes as [Node]
      await bringUntil(node, () => lies > 0)
    }
    const used = upstream.requests.map(({ headers }) => headers.authorization ?? '')
    assert.deepEqual(
      used.filter((given) => given !== '' && !given.startsWith('Bearer token-')),
      [],
    )
  })

  it('is lent on by nobody who was lent it', async (t) => {
    upstream.requireBearer()
    let lent = 0
    const lend: Lend = async (terms, isSame, options) => {
      lent += 1
      return other.upstreams.lend(terms, isSame, options)
    }
    const cluster = await clusterOf(t, [{}, { lend }])
    const [node, other] = cluster.nodes as [Node, Node]
    const name = await bringUntil(node, () => lent > 0)
    assert.equal(tokensOf(name).length, 1)
    const terms = {
      repository: { ...REPOSITORY, name },
      host: upstream.host,
      realm: `${upstream.url}/token`,
      service: 'registry',
      scopes: [],
    }
    await node.upstreams.lend(terms, () => true, { signal: AbortSignal.timeout(5000) })
    assert.equal(tokensOf(name).length, 2)
  })

  it('is nowhere in what is logged or shown', async (t) => {
    upstream.requireBearer({ basic: ALICE })
    const lines: string[] = []
    const log = startLog({ level: 'trace', to: { write: (line: string) => lines.push(line) } })
    t.after(() => log.close())
    const cluster = await clusterOf(t, Array(4).fill({ upstream: ALICE }))
    await Promise.all(cluster.nodes.map((node) => node.pull(upstream.addBlob(randomBytes(100)))))
    const shown = JSON.stringify(
      cluster.nodes.map(({ network, upstreams }) => [network.view(), upstreams.status()]),
    )
    assert.ok(lines.length > 0)
    for (const told of [...lines, shown]) {
      assert.doesNotMatch(told, /token-\d|the password of/)
    }
  })
})
