import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, it } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { type FaultyUpstream, startFaultyUpstream } from '../../testkit/registries/faulty-upstream.ts'
import { numberFromEnvironment, SeededRandom, seededRandom } from '../../testkit/seeded-random.ts'
import { AgentChild } from './agent/agent-child.ts'
import { Contents, checkAnswer, type Item, isHit, NAMESPACE } from './support/content.ts'
import { emptyFolder, partialSizes } from './support/data-folder.ts'
import { type PullOptions, pull } from './support/pull.ts'
import { breakOnce } from './support/upstream-faults.ts'

/** Many clients and upstream faults on a store that is too small, with restarts, and then a check that nothing has leaked. */

const SECONDS = numberFromEnvironment('LEAT_SOAK_SECONDS') ?? 30
const MIB = 1024 * 1024
const LIMIT_BYTES = 40 * MIB
const CLIENTS = 12
const SAMPLE_MS = 250
/** A slow machine gets so much more time until all kinds of requests have occurred. */
const MAX_EXTRA_MS = 120_000
/** How much memory caches and pools may keep. */
const MAX_KEPT_BYTES = 40 * MIB
const MOST_RSS = 512 * MIB
const WAIT_MS = 60_000
const KINDS = ['hits', 'misses', 'partial', 'left', 'failed'] as const

interface Sample {
  readonly rss: number
  readonly descriptors: number
}

let upstream: FaultyUpstream

before(async () => {
  upstream = await startFaultyUpstream()
})

after(async () => {
  await AgentChild.endAll()
  await upstream.close()
})

it(`${SECONDS} s of requests, faults, evictions and restarts leak nothing`, {
  timeout: SECONDS * 1000 + MAX_EXTRA_MS + 4 * WAIT_MS,
}, async (t) => {
  if (process.platform !== 'linux') return t.skip('missing: /proc, to look at the memory of an agent')
  const random = seededRandom('soak')
  const contents = new Contents(upstream, random)
  const items = Array.from({ length: 30 }, () => [
    ...contents.image(2, 1000, 500_000),
    contents.blob(MIB, 4 * MIB),
  ]).flat()
  const load = new Load(items, random)
  const data = join(await emptyFolder(t), 'data')

  const first = await startAgent(data)
  await load.run(first.address, SECONDS * 150, () => first.stop())
  assert.deepEqual(
    await first.exited(),
    { code: 0, signal: null },
    'the agent did not end in order under load',
  )

  const second = await startAgent(data)
  await load.run(second.address, SECONDS * 50, () => second.kill())

  const third = await startAgent(data)
  let attempts = 0
  third.onMessage((message) => {
    if (message.is === 'attempt-ended') attempts += 1
  })
  const transfersBefore = upstream.transfers.length
  const idle = await sample(third)
  const memoryBefore = await third.memory()
  const samples: Sample[] = []
  await load.run(
    third.address,
    SECONDS * 800,
    async () => {},
    async () => {
      samples.push(await sample(third))
      const stored = await metric(third, 'leat_store_bytes')
      assert.ok(stored <= LIMIT_BYTES, `${stored} bytes are stored`)
    },
    async () =>
      KINDS.every((kind) => load.count[kind] > 0) &&
      (await metric(third, 'leat_evicted_bytes_total')) > LIMIT_BYTES,
  )
  console.log(load.summary)
  upstream.heal()
  upstream.release()

  await until('all flights to end', async () => (await metric(third, 'leat_flights_active')) === 0)
  for (const kind of KINDS) {
    assert.ok(load.count[kind] > 0, `there were no ${kind}: ${load.summary}`)
  }
  assert.ok((await metric(third, 'leat_evicted_bytes_total')) > LIMIT_BYTES, 'next to nothing was evicted')
  const rss = Math.max(...samples.map((each) => each.rss))
  assert.ok(rss < MOST_RSS, `it had ${Math.round(rss / MIB)} MiB`)
  const most = Math.max(...samples.map(({ descriptors }) => descriptors))
  assert.ok(most < idle.descriptors + 20 * CLIENTS, `${most} descriptors were open`)
  // A partial file is kept until the blob is requested again.
  for (const digest of (await partialSizes(data)).keys()) {
    const item = items.find((each) => each.digest === digest) ?? assert.fail(`a partial file of ${digest}`)
    assert.ok(checkAnswer(item, await pull(third.address, item.path)))
  }
  await until('all flights to end', async () => (await metric(third, 'leat_flights_active')) === 0)
  await until('partial files to go', async () => (await readdir(join(data, 'partial'))).length === 0)
  await until('descriptors to be closed', async () => {
    // Idle connections to clients and to upstream are kept open, and the index opens files.
    return (await sample(third)).descriptors <= idle.descriptors + CLIENTS + 30
  })
  const growth = (await third.memory()) - memoryBefore
  console.log(
    `at most ${Math.round(rss / MIB)} MiB resident, ${Math.round(growth / 1024)} KiB more memory in use`,
  )
  assert.ok(growth < MAX_KEPT_BYTES, `${growth} bytes more are in use than before`)
  // A digest has one flight at a time, which requests again only when its previous attempt has ended.
  const transfers = upstream.transfers.length - transfersBefore
  assert.ok(transfers <= attempts, `${transfers} transfers in ${attempts} attempts`)

  // The process is not forced to exit: it ends because nothing is left running.
  assert.equal(await third.stop(), 0)
  for (const { output } of [first, second, third]) assert.equal(output, '')
})

/** Clients that send requests until they are stopped. */
class Load {
  readonly count = { hits: 0, misses: 0, partial: 0, left: 0, failed: 0 }
  readonly #items: readonly Item[]
  readonly #random: SeededRandom

  constructor(items: readonly Item[], random: SeededRandom) {
    this.#items = items
    this.#random = random
  }

  get summary(): string {
    return Object.entries(this.count)
      .map(([what, times]) => `${times} ${what}`)
      .join(', ')
  }

  /** Runs the clients for `ms`, and longer until `isEnough`. Calls `end` while they still send, and stops them. */
  async run(
    address: string,
    ms: number,
    end: () => Promise<unknown>,
    look: () => Promise<void> = async () => {},
    isEnough: () => Promise<boolean> = async () => true,
  ): Promise<void> {
    const stopped = new AbortController()
    const clients = Array.from({ length: CLIENTS }, () =>
      this.#client(address, new SeededRandom(this.#random.between(0, 2 ** 31)), stopped.signal),
    )
    try {
      const until = performance.now() + ms
      while (performance.now() < until || (performance.now() < until + MAX_EXTRA_MS && !(await isEnough()))) {
        await delay(SAMPLE_MS)
        // Requests that stalled at a fault are released.
        upstream.release()
        await look()
      }
      await end()
    } finally {
      stopped.abort()
      await Promise.all(clients)
    }
  }

  async #client(address: string, random: SeededRandom, stopped: AbortSignal): Promise<void> {
    while (!stopped.aborted) {
      // Some items are requested often, and most of them rarely.
      const item = random.chance(0.4) ? random.pick(this.#items.slice(0, 12)) : random.pick(this.#items)
      if (random.chance(0.06)) breakOnce(upstream, random, item)
      const options = this.#options(item, random)
      const path = item.tagPath !== undefined && random.chance(0.5) ? item.tagPath : item.path
      const got = await pull(address, path, options)
      if (got.status === 0) await delay(20)
      const isWhole = options.method === 'HEAD' ? got.status === 200 : checkAnswer(item, got)
      if (options.leaveAfter !== undefined) this.count.left += 1
      else if (!isWhole) this.count.failed += 1
      else if (got.status === 206) this.count.partial += 1
      else if (isHit(got)) this.count.hits += 1
      else this.count.misses += 1
    }
  }

  #options(item: Item, random: SeededRandom): PullOptions {
    const kind = random.fraction()
    if (kind < 0.6 || item.bytes === undefined || item.size === 0) return {}
    if (kind < 0.65) return { method: 'HEAD' }
    if (kind < 0.8) return { leaveAfter: random.between(1, item.size) }
    const start = random.between(0, item.size - 1)
    return {
      headers: { range: `bytes=${start}-${random.chance(0.5) ? '' : random.between(start, item.size - 1)}` },
    }
  }
}

async function startAgent(data: string): Promise<AgentChild> {
  const agent = new AgentChild()
  const started = await agent.start({
    data,
    maxBytes: { bytes: LIMIT_BYTES },
    listen: { host: '127.0.0.1', port: 0 },
    admin: { host: '127.0.0.1', port: 0 },
    upstreams: { entries: [{ namespace: NAMESPACE, hosts: [upstream.host], tls: false }] },
  })
  assert.ok(started, agent.output)
  return agent
}

async function sample({ pid }: AgentChild): Promise<Sample> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  const kibibytes = /^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? assert.fail('no VmRSS')
  return { rss: Number(kibibytes) * 1024, descriptors: (await readdir(`/proc/${pid}/fd`)).length }
}

async function metric({ admin }: AgentChild, name: string): Promise<number> {
  const response = await fetch(`${admin}/metrics`)
  const line = (await response.text()).split('\n').find((each) => each.startsWith(`${name} `))
  return Number(line?.slice(name.length + 1) ?? assert.fail(`no ${name}`))
}

async function until(what: string, done: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + WAIT_MS
  while (!(await done())) {
    assert.ok(performance.now() < deadline, `waited a minute for ${what}`)
    await delay(100)
  }
}
