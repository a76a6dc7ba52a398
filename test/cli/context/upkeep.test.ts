import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, before, beforeEach, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import * as v from 'valibot'
import { type Agent, createAgent } from '../../../src/index.ts'
import { contentViewOf } from '../../../src/observe/reports/content-view.ts'
import { listBlobs } from '../../../src/observe/reports/listing.ts'
import type { Digest } from '../../../src/oci/digest.ts'
import { BlobReport, ImageReport } from '../../../src/schemas/content-report.ts'
import { StatusReport } from '../../../src/schemas/status-report.ts'
import { Layout } from '../../../src/store/files/layout.ts'
import { openStore } from '../../../src/store/open.ts'
import {
  type FaultyUpstream,
  type ImageAdded,
  startFaultyUpstream,
} from '../../../testkit/registries/faulty-upstream.ts'
import { type CommandResult, runAgent } from '../agent-process.ts'
import { runInProcess } from '../run-in-process.ts'

/** The upkeep commands on the content of a real agent, while it runs and after it has stopped. */

const KIB = 1024
const base = randomBytes(50 * KIB)
let upstream: FaultyUpstream
let app: ImageAdded
let other: ImageAdded
let data: string
let node: Agent | undefined

before(async () => {
  upstream = await startFaultyUpstream()
  app = upstream.addImage('app', 'v1', [base, randomBytes(30 * KIB)])
  other = upstream.addImage('other', 'v1', [base, randomBytes(20 * KIB)])
})

after(() => upstream.close())

beforeEach(async () => {
  data = await mkdtemp(join(tmpdir(), 'leat-upkeep-'))
  await start()
  for (const [name, image] of Object.entries({ app, other })) await pull(name, image)
  await noFlights()
})

afterEach(async () => {
  await stop()
  await rm(data, { recursive: true })
})

async function start(scrubRate = 0): Promise<void> {
  node = createAgent({
    data,
    scrubRate,
    listen: { host: '127.0.0.1', port: 0 },
    admin: { host: '127.0.0.1', port: 0 },
    upstreams: { entries: [{ namespace: 'up.test', hosts: [upstream.host], tls: false }] },
  })
  await node.start()
}

async function stop(): Promise<void> {
  await node?.stop({ drainMs: 0 })
  node = undefined
}

async function get(path: string): Promise<Response> {
  const port = node?.addresses.registry.port
  const response = await fetch(`http://127.0.0.1:${port}/v2/up.test/${path}`)
  await response.arrayBuffer()
  return response
}

async function pull(name: string, { config, layers }: ImageAdded): Promise<void> {
  for (const path of ['manifests/v1', ...[config, ...layers].map((digest) => `blobs/${digest}`)])
    assert.equal((await get(`${name}/${path}`)).status, 200)
}

/** The flags that name the running agent, or its data folder when it is stopped. */
function where(): readonly string[] {
  const admin = node?.addresses.admin
  return admin === undefined ? ['--data', data] : ['--admin', `127.0.0.1:${admin.port}`]
}

function run(...args: string[]): Promise<CommandResult> {
  return runInProcess([...args, ...where()])
}

async function json(...args: string[]): Promise<ReturnType<typeof JSON.parse>[]> {
  const { code, out, err } = await run(...args, '--json')
  assert.equal(code, 0, err)
  return out === ''
    ? []
    : out
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line))
}

/** The stored blobs, read without the command line, which takes longer. */
async function blobs(): Promise<BlobReport[]> {
  const admin = node?.addresses.admin
  if (admin !== undefined) {
    const text = await (await fetch(`http://127.0.0.1:${admin.port}/api/v1/blobs`)).text()
    return text.split('\n').flatMap((line) => (line === '' ? [] : v.parse(BlobReport, JSON.parse(line))))
  }
  const store = await openStore({ path: data })
  try {
    const all: BlobReport[] = []
    for await (const blob of listBlobs(contentViewOf(store))) all.push(blob)
    return all
  } finally {
    await store.close()
  }
}

/** Waits until no flight is in progress: a client gets its last byte before the flight ends. */
async function noFlights(): Promise<void> {
  const port = node?.addresses.admin?.port
  for (let flights = 1; flights > 0; await delay(5)) {
    const status = await (await fetch(`http://127.0.0.1:${port}/api/v1/status`)).json()
    flights = v.parse(StatusReport, status).flights.length
  }
}

async function held(): Promise<string[]> {
  return (await blobs()).map(({ digest }) => digest)
}

async function flip(digest: Digest): Promise<void> {
  const file = new Layout(data).blob(digest)
  const bytes = await readFile(file)
  bytes[100] = (bytes[100] ?? 0) ^ 1
  await writeFile(file, bytes)
}

const ownParts = ({ manifest, config, layers }: ImageAdded): Digest[] => [
  manifest,
  config,
  ...layers.slice(1),
]
const sharedLayer = (): Digest => app.layers[0] ?? assert.fail()

for (const way of ['a running agent', 'a folder without one'] as const) {
  const stopUnlessRunning = async (): Promise<void> => {
    if (way !== 'a running agent') await stop()
  }

  test(`${way}: agent ls lists unique and shared bytes, sorted by size on request`, async () => {
    await stopUnlessRunning()
    const images = (await json('ls', '--sort', 'size')).map((image) => v.parse(ImageReport, image))
    assert.deepEqual(
      images.map(({ repository, tag }) => `${repository}:${tag}`),
      ['up.test/app:v1', 'up.test/other:v1'],
    )
    const [first] = images
    assert.deepEqual([first?.state, first?.sharedBytes], ['whole', 50 * KIB])
    assert.ok((first?.uniqueBytes ?? 0) > 30 * KIB && (first?.uniqueBytes ?? 0) < 32 * KIB)
    assert.deepEqual(first?.sharesWith, ['up.test/other:v1'])
    const { out } = await runAgent(['ls', ...where()])
    assert.match(
      out,
      /^IMAGE +DIGEST +STORED +UNIQUE +STATE +PIN +LAST USED +CONFIRMED +PLATFORMS +SHARES WITH\n/,
    )
    assert.match(out, /\nup\.test\/app:v1 .* whole .* up\.test\/other:v1\n/)
    const wrong = await run('ls', '--sort', 'colour')
    assert.deepEqual([wrong.code, /expected one of name, size, unique, used/.test(wrong.err)], [2, true])
  })

  test(`${way}: agent rm removes the blobs that only the image needs, and refuses a pinned image`, async () => {
    await stopUnlessRunning()
    const pinned = await run('pin', 'up.test/app:v1')
    assert.deepEqual([pinned.code, pinned.out], [0, `Pinned up.test/app:v1 (${app.manifest}).\n`])
    const refused = await run('rm', 'up.test/app:v1')
    assert.deepEqual(
      [refused.code, refused.err],
      [1, 'agent: up.test/app:v1 is pinned; unpin it first, or give --force\n'],
    )
    assert.match((await run('ls')).out, /up\.test\/app:v1 .* pinned /)
    const [removed] = await json('rm', 'up.test/app:v1', '--force')
    assert.deepEqual([removed.blobs, removed.keptBlobs, removed.keptBytes], [3, 1, 50 * KIB])
    const left = await held()
    for (const digest of ownParts(app)) assert.ok(!left.includes(digest))
    for (const digest of [sharedLayer(), ...ownParts(other)]) assert.ok(left.includes(digest))
    assert.match(
      (await run('rm', 'up.test/other:v1')).out,
      /^Removed up\.test\/other:v1 .*\nFreed .* in 4 blobs\.\n$/,
    )
    assert.deepEqual(await held(), [])
  })

  test(`${way}: agent gc evicts everything that is not pinned`, async () => {
    await stopUnlessRunning()
    assert.equal((await run('pin', 'up.test/other:v1', sharedLayer())).code, 0)
    const evicted = await run('gc', '--to', '0')
    assert.match(evicted.out, /^Evicted 3 blobs \(3\d\.\d KiB\); 4 blobs \(7\d\.\d KiB\) remain\.\n$/)
    assert.deepEqual((await held()).sort(), [sharedLayer(), ...ownParts(other)].sort())
    assert.equal((await run('unpin', 'up.test/other:v1', sharedLayer())).code, 0)
    const [done] = await json('gc', '--to', '0')
    assert.deepEqual([done.blobs, done.leftBlobs], [4, 0])
  })

  test(`${way}: agent verify lists corrupt blobs with exit code 1, and finds none the next time`, async () => {
    await stopUnlessRunning()
    const intact = await run('verify')
    assert.deepEqual([intact.code, intact.err], [0, ''])
    assert.match(intact.out, /^Verified 7 blobs \(.*\): all intact\.\n$/)
    await flip(sharedLayer())
    const corrupt = await run('verify')
    assert.equal(corrupt.code, 1)
    const [line = '', summary] = corrupt.out.split('\n')
    assert.match(
      line,
      new RegExp(
        `^corrupt {2}${sharedLayer()} {2}50\\.0 KiB, part of up\\.test/app:v1, up\\.test/other:v1; found sha256:[0-9a-f]{64}$`,
      ),
    )
    assert.match(summary ?? '', /1 corrupt and quarantined; the next request fetches it again\.$/)
    const lines = await json('verify', '--rate', '1GiB')
    assert.deepEqual([lines.at(-1).is, lines.at(-1).found, lines.at(-1).blobs], ['done', 0, 6])
  })

  test(`${way}: invalid or unknown names fail with one sentence`, async () => {
    await stopUnlessRunning()
    const table: readonly [readonly string[], number, RegExp][] = [
      [['pin', 'up.test/none:v1'], 1, /up\.test\/none:v1 is not stored on this node; `agent ls` lists/],
      [['unpin', `sha256:${'0'.repeat(64)}`], 1, /is not stored on this node/],
      [['rm', 'sha256:12'], 2, /is not a digest/],
      [['rm', 'UPPER'], 2, /is not an image name/],
      [['rm', 'up.test/app@sha256:12'], 2, /no valid digest after @/],
      [['gc', '--to', 'little'], 2, /--to is "little"; expected a size/],
      [['verify', '--rate', '0'], 2, /--rate is "0"; expected/],
      [['pin'], 2, /pin needs an image/],
    ]
    // Only one process can open a folder, so fewer cases run there; the messages are the same.
    const asked = way === 'a running agent' ? table : table.slice(0, 3)
    const ended: CommandResult[] = []
    if (way === 'a running agent') ended.push(...(await Promise.all(asked.map(([args]) => run(...args)))))
    else for (const [args] of asked) ended.push(await run(...args))
    for (const [i, [args, code, problem]] of asked.entries()) {
      const { code: found, err } = ended[i] ?? assert.fail()
      assert.equal(found, code, `${args.join(' ')}: ${err}`)
      assert.match(err, problem)
      assert.match(err, /^agent: [^\n]+\n$/)
    }
    assert.equal((await held()).length, 7)
  })
}

test('the next request fetches a corrupt blob again', async () => {
  await flip(sharedLayer())
  assert.equal((await run('verify')).code, 1)
  const again = await get(`app/blobs/${sharedLayer()}`)
  assert.equal(again.headers.get('cache-status'), 'leat; fwd=uri-miss; detail=upstream')
  await noFlights()
  assert.deepEqual([(await run('verify')).code, (await held()).length], [0, 7])
})

test('the scrub finds a corrupt blob, and the status reports it', async () => {
  await stop()
  await flip(sharedLayer())
  await start(16 * KIB * KIB)
  const scrub = async () => JSON.parse((await run('status', '--json')).out).store.scrub
  let state = await scrub()
  for (; state.lastRound === null; await delay(20)) state = await scrub()
  assert.deepEqual([state.lastRound.found, state.state, state.bytesPerSecond], [1, 'resting', 16 * KIB * KIB])
  assert.match((await run('status')).out, /\nscrub {5}idle; last round ended \S+ ago, 1 corrupt\n/)
  assert.ok(!(await held()).includes(sharedLayer()))
})

test('a removed image is fetched from upstream again, with its manifest', async () => {
  await run('rm', 'up.test/app:v1')
  const before = upstream.count(app.manifest)
  const again = await get('app/manifests/v1')
  assert.equal(again.status, 200)
  assert.ok(upstream.count(app.manifest) + upstream.count('v1') > before)
  await noFlights()
  assert.ok((await held()).includes(app.manifest))
})

test('agent ls, verify, why and pin mark nothing as used', async () => {
  const used = async () => (await blobs()).map((blob) => [blob.digest, blob.lastUsedAt, blob.storedAt])
  const before = await used()
  await run('ls')
  await run('verify')
  await run('why', 'up.test/app:v1')
  await run('pin', 'up.test/app:v1')
  assert.deepEqual(await used(), before)
})

test('without a running agent, and with a wrong or locked folder, each command fails with one sentence', async () => {
  const foreign = join(data, 'foreign')
  await mkdir(foreign)
  await writeFile(join(foreign, 'mine.txt'), 'mine')
  const commands = [['gc'], ['verify'], ['pin', 'alpine'], ['unpin', 'alpine'], ['rm', 'alpine'], ['ls']]
  const all = async (...at: readonly string[]): Promise<readonly CommandResult[]> => {
    const [first = []] = commands
    // This runs first: opening the database of this process again would release its lock against other processes.
    const asProcess = await runAgent([...first, ...at])
    return [asProcess, ...(await Promise.all(commands.map((args) => runInProcess([...args, ...at]))))]
  }
  for (const { code, err } of await all('--admin', '127.0.0.1:1')) {
    assert.equal(code, 1)
    assert.match(
      err,
      /^agent: no agent answers at 127\.0\.0\.1:1; start one .*, or give the data folder with --data[^\n]+\n$/,
    )
  }
  for (const { code, err } of await all('--data', foreign)) {
    assert.equal(code, 1)
    assert.match(err, /^agent: .* is not the data folder of an agent; give [^\n]+\n$/)
  }
  for (const { code, err } of await all('--data', data)) {
    assert.equal(code, 1)
    assert.match(err, /^agent: an agent is running on [^\n]+; leave out --data to ask it[^\n]*\n$/)
  }
  assert.deepEqual(await readFile(join(foreign, 'mine.txt'), 'utf8'), 'mine')
})
