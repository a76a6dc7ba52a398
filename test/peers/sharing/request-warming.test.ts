import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import type { Digest } from '../../../src/oci/digest.ts'
import type { WarmDone, WarmedNode, WarmLine } from '../../../src/schemas/warm-report.ts'
import type { ImageAdded } from '../../../testkit/registries/faulty/content.ts'
import { type FaultyUpstream, startFaultyUpstream } from '../../../testkit/registries/faulty-upstream.ts'
import { Cluster } from '../support/cluster.ts'
import { type Node, type NodeOptions, REPOSITORY } from '../support/cluster-node.ts'

const KIB = 1024
const MIB = 1024 * KIB
let upstream: FaultyUpstream

before(async () => {
  upstream = await startFaultyUpstream()
})

after(() => upstream.close())

async function clusterOf(t: TestContext, ...members: readonly NodeOptions[]): Promise<Cluster> {
  const cluster = await Cluster.start(0, upstream.host)
  t.after(() => cluster.stop())
  for (const options of members) await cluster.add(upstream.host, options)
  return cluster
}

function nodeOf({ nodes }: Cluster, at: number): Node {
  return nodes[at] ?? assert.fail(`there is no node ${at}`)
}

function warmRequest(...tags: readonly string[]) {
  const images = tags.map((tag) => `${REPOSITORY.registry}/app:${tag}`)
  return { images, platforms: [], referrers: false, pin: false, allNodes: true }
}

interface WarmResult {
  readonly lines: readonly WarmLine[]
  readonly done: WarmDone
  readonly nodes: ReadonlyMap<string, WarmedNode>
}

async function readReport(lines: AsyncIterable<WarmLine>): Promise<WarmResult> {
  const all: WarmLine[] = []
  for await (const line of lines) all.push(line)
  const done = all.at(-1)
  if (done?.is !== 'done') return assert.fail(`the report ends without a result: ${JSON.stringify(done)}`)
  const nodes = all.flatMap((line) => (line.is === 'node' ? [[line.node.name, line] as const] : []))
  return { lines: all, done, nodes: new Map(nodes) }
}

function digestsOf({ manifest, config, layers }: ImageAdded): Digest[] {
  return [manifest, config, ...layers]
}

function signal(): AbortSignal {
  return AbortSignal.timeout(60_000)
}

test('a request to one agent warms an image on all members, and upstream sends every byte once', async (t) => {
  const cluster = await clusterOf(t, {}, {}, {}, {})
  const app = upstream.addImage('app', 'once', [
    randomBytes(3 * MIB),
    randomBytes(300 * KIB),
    randomBytes(10),
  ])
  const { done, nodes, lines } = await readReport(
    nodeOf(cluster, 1).warming.warm({ ...warmRequest('once'), pin: true, signal: signal() }),
  )
  assert.deepEqual([done.images, done.failed, done.nodes, done.failedNodes], [1, 0, 4, 0])
  assert.deepEqual([...nodes.keys()].sort(), ['node-0', 'node-1', 'node-2', 'node-3'])
  for (const { name, store, pinned } of cluster.nodes) {
    for (const digest of digestsOf(app)) assert.ok(store.stored.has(digest), `${name} has ${digest}`)
    assert.deepEqual([...pinned], [app.manifest])
    const own = lines.filter((line) => line.is === 'image' && line.node?.name === name)
    assert.deepEqual(
      own.map((line) => line.is === 'image' && [line.image, line.digest, line.error]),
      [[`${REPOSITORY.registry}/app:once`, app.manifest, null]],
    )
  }
  for (const digest of [app.config, ...app.layers]) {
    const gets = upstream.requests.filter(({ method, path }) => method === 'GET' && path.endsWith(digest))
    assert.equal(gets.length, 1)
  }
})

test('a member that fails in the middle is reported as failed, and the others get the whole image', async (t) => {
  const cluster = await clusterOf(t, {}, {}, {})
  const app = upstream.addImage('app', 'failing', [randomBytes(3 * MIB)])
  const [layer = ''] = app.layers
  upstream.fault(layer, { stallAt: 2 * MIB, method: 'GET', times: 1 })
  const failing = nodeOf(cluster, 2)
  const lines = nodeOf(cluster, 0).warming.warm({ ...warmRequest('failing'), signal: signal() })
  const result = readReport(lines)
  while ((failing.resolver.flights.get(layer as Digest)?.position ?? 0) < MIB) await delay(5)
  await cluster.kill(failing)
  upstream.release()
  const { done, nodes } = await result
  assert.deepEqual([done.failed, done.nodes, done.failedNodes], [1, 3, 1])
  assert.match(nodes.get('node-2')?.error ?? '', /^node-2 did not warm the images: [^\n]+$/)
  for (const at of [0, 1]) {
    assert.equal(nodes.get(`node-${at}`)?.error, null)
    assert.ok(nodeOf(cluster, at).store.stored.has(layer as Digest))
  }
})

test('a member refuses images that it may not serve, and reports each of them', async (t) => {
  const cluster = await clusterOf(t, {}, { allow: ['elsewhere.test/**'] })
  upstream.addImage('app', 'refused', [randomBytes(KIB)])
  const { done, nodes, lines } = await readReport(
    nodeOf(cluster, 0).warming.warm({ ...warmRequest('refused'), signal: signal() }),
  )
  assert.deepEqual([done.failed, done.failedNodes], [1, 1])
  assert.deepEqual([nodes.get('node-0')?.failed, nodes.get('node-1')?.failed], [0, 1])
  const errors = lines.flatMap((line) => (line.is === 'image' && line.error !== null ? [line] : []))
  assert.deepEqual(
    errors.map(({ node, error }) => [node?.name, error]),
    [['node-1', 'up.test/app:refused may not be served by this agent; see --allow']],
  )
  assert.equal(nodeOf(cluster, 1).store.stored.size, 0)
})

test('a short image name means the same image on all members as on the requesting node', async (t) => {
  const cluster = await clusterOf(t, {}, { defaultNamespace: 'elsewhere.test' })
  const app = upstream.addImage('app', 'short', [randomBytes(KIB)])
  const { done, lines } = await readReport(
    nodeOf(cluster, 0).warming.warm({ ...warmRequest(), images: ['app:short'], signal: signal() }),
  )
  assert.equal(done.failed, 0)
  const images = lines.flatMap((line) => (line.is === 'image' ? [line] : []))
  assert.deepEqual(
    images.map(({ image, digest }) => [image, digest]),
    Array(2).fill(['app:short', app.manifest]),
  )
})

test('a member with another protocol version is reported as failed without being asked', async (t) => {
  const cluster = await clusterOf(t, {}, { protocol: 99 }, {})
  upstream.addImage('app', 'versions', [randomBytes(KIB)])
  const { done, nodes } = await readReport(
    nodeOf(cluster, 0).warming.warm({ ...warmRequest('versions'), signal: signal() }),
  )
  assert.deepEqual([done.nodes, done.failedNodes], [3, 1])
  assert.match(
    nodes.get('node-1')?.error ?? '',
    /^node-1 did not warm the images: it runs version test, which /,
  )
})

test('when the requester leaves, no member begins another transfer', async (t) => {
  const cluster = await clusterOf(t, {}, {}, {})
  const app = upstream.addImage(
    'app',
    'left',
    Array.from({ length: 20 }, () => randomBytes(KIB)),
  )
  for (const layer of app.layers) upstream.fault(layer, { stallAt: 100 })
  const leaving = new AbortController()
  const result = readReport(
    nodeOf(cluster, 0).warming.warm({ ...warmRequest('left'), signal: leaving.signal }),
  )
  result.catch(() => {})
  await upstream.stalled(app.layers[0] ?? '')
  const requests = () => [nodeOf(cluster, 1), nodeOf(cluster, 2)].flatMap((node) => node.warmRequests)
  while (requests().length < 2) await delay(5)
  leaving.abort(new Error('enough'))
  await assert.rejects(result, /enough/)
  while (!requests().every(({ signal }) => signal.aborted)) await delay(5)
  upstream.heal()
  upstream.release()
  // Transfers that have begun are completed by the nodes.
  while (cluster.nodes.some(({ resolver }) => resolver.flights.list().length > 0)) await delay(5)
  const requested = app.layers.filter((layer) => upstream.bytesSent(layer) > 0)
  assert.ok(requested.length < app.layers.length, `${requested.length} layers were requested`)
})

test('the largest allowed number of images reaches the other members', async (t) => {
  const cluster = await clusterOf(t, {}, {})
  const name = 'x'.repeat(200)
  const images = Array.from({ length: 1000 }, (_, at) => `${REPOSITORY.registry}/${name}:v${at}`)
  const leaving = new AbortController()
  const result = readReport(
    nodeOf(cluster, 0).warming.warm({ ...warmRequest(), images, signal: leaving.signal }),
  )
  const { warmRequests: requests } = nodeOf(cluster, 1)
  while (requests.length === 0) await Promise.race([delay(5), result])
  leaving.abort(new Error('enough'))
  await assert.rejects(result, /enough/)
  assert.deepEqual(requests[0]?.images, images)
})
