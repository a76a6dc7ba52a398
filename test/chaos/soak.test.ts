import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, it } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { type FaultyUpstream, startFaultyUpstream } from '../../testkit/registries/faulty-upstream.ts'
import { Dice, dice, numberFrom } from '../../testkit/seeded-random.ts'
import { AgentChild } from './agent/agent-child.ts'
import { Contents, type Item, isHit, judge, NAMESPACE } from './support/content.ts'
import { emptyFolder, partialSizes } from './support/data-folder.ts'
import { type Asking, pull } from './support/pull.ts'
import { breakOnce } from './support/upstream-faults.ts'

/** A long life in short: everything at once on a store that is too small, with restarts, and then a look at what is left. */

const SECONDS = numberFrom('LEAT_SOAK_SECONDS') ?? 30
const MIB = 1024 * 1024
const LIMIT_BYTES = 40 * MIB
const CLIENTS = 12
const SAMPLE_MS = 250
/** On a slow machine it goes on for so much longer, until everything has happened. */
const LONGER_MS = 120_000
/** What caches and pools may keep of all that has gone through. */
const KEPT_BYTES = 40 * MIB
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

it(`${SECONDS} s of everything at once leave nothing behind`, {
  timeout: SECONDS * 1000 + LONGER_MS + 4 * WAIT_MS,
}, async (t) => {
  if (process.platform !== 'linux') return t.skip('missing: /proc, to look at the memory of an agent')
  const chance = dice('soak')
  const contents = new Contents(upstream, chance)
  const items = Array.from({ length: 30 }, () => [
    ...contents.image(2, 1000, 500_000),
    contents.blob(MIB, 4 * MIB),
  ]).flat()
  const load = new Load(items, chance)
  const data = join(await emptyFolder(t), 'data')

  const first = await startAgent(data)
  await load.run(first.address, SECONDS * 150, () => first.stop())
  assert.deepEqual(await first.exited(), { code: 0, signal: null }, 'asked to end in the middle of it')

  const second = await startAgent(data)
  await load.run(second.address, SECONDS * 50, () => second.kill())

  const third = await startAgent(data)
  let attempts = 0
  third.onNews((news) => {
    if (news.is === 'attempted') attempts += 1
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
  // What was interrupted is kept for the next request, and gone when that has come.
  for (const digest of (await partialSizes(data)).keys()) {
    const item = items.find((each) => each.digest === digest) ?? assert.fail(`a partial file of ${digest}`)
    assert.ok(judge(item, await pull(third.address, item.path)))
  }
  await until('all flights to end', async () => (await metric(third, 'leat_flights_active')) === 0)
  await until('partial files to go', async () => (await readdir(join(data, 'partial'))).length === 0)
  await until('descriptors to be closed', async () => {
    // Connections that clients and upstream keep for later, and the index's own tables.
    return (await sample(third)).descriptors <= idle.descriptors + CLIENTS + 30
  })
  const kept = (await third.memory()) - memoryBefore
  console.log(
    `at most ${Math.round(rss / MIB)} MiB resident, ${Math.round(kept / 1024)} KiB more referred to`,
  )
  assert.ok(kept < KEPT_BYTES, `${kept} bytes more are referred to than before`)
  // There is one flight at a time for a digest, and it asks again only when an attempt of its own is over.
  const transfers = upstream.transfers.length - transfersBefore
  assert.ok(transfers <= attempts, `${transfers} transfers in ${attempts} attempts`)

  // Nobody makes it exit: it ends when nothing is left that it could wait for.
  assert.equal(await third.stop(), 0)
  for (const { said } of [first, second, third]) assert.equal(said, '')
})

/** What clients do all day, until they are stopped. */
class Load {
  readonly count = { hits: 0, misses: 0, partial: 0, left: 0, failed: 0 }
  readonly #items: readonly Item[]
  readonly #dice: Dice

  constructor(items: readonly Item[], chance: Dice) {
    this.#items = items
    this.#dice = chance
  }

  get summary(): string {
    return Object.entries(this.count)
      .map(([what, times]) => `${times} ${what}`)
      .join(', ')
  }

  /** For so long, and longer until it is enough; then `end`, while they still ask, and they stop. */
  async run(
    address: string,
    ms: number,
    end: () => Promise<unknown>,
    look: () => Promise<void> = async () => {},
    isEnough: () => Promise<boolean> = async () => true,
  ): Promise<void> {
    const stopped = new AbortController()
    const clients = Array.from({ length: CLIENTS }, () =>
      this.#client(address, new Dice(this.#dice.between(0, 2 ** 31)), stopped.signal),
    )
    try {
      const until = performance.now() + ms
      while (performance.now() < until || (performance.now() < until + LONGER_MS && !(await isEnough()))) {
        await delay(SAMPLE_MS)
        // Whoever sent nothing for a while goes on.
        upstream.release()
        await look()
      }
      await end()
    } finally {
      stopped.abort()
      await Promise.all(clients)
    }
  }

  async #client(address: string, chance: Dice, stopped: AbortSignal): Promise<void> {
    while (!stopped.aborted) {
      // Some are asked for often, most now and then.
      const item = chance.chance(0.4) ? chance.pick(this.#items.slice(0, 12)) : chance.pick(this.#items)
      if (chance.chance(0.06)) breakOnce(upstream, chance, item)
      const asking = this.#asking(item, chance)
      const path = item.tagPath !== undefined && chance.chance(0.5) ? item.tagPath : item.path
      const got = await pull(address, path, asking)
      if (got.status === 0) await delay(20)
      const whole = asking.method === 'HEAD' ? got.status === 200 : judge(item, got)
      if (asking.leaveAfter !== undefined) this.count.left += 1
      else if (!whole) this.count.failed += 1
      else if (got.status === 206) this.count.partial += 1
      else if (isHit(got)) this.count.hits += 1
      else this.count.misses += 1
    }
  }

  #asking(item: Item, chance: Dice): Asking {
    const thrown = chance.fraction()
    if (thrown < 0.6 || item.bytes === undefined || item.size === 0) return {}
    if (thrown < 0.65) return { method: 'HEAD' }
    if (thrown < 0.8) return { leaveAfter: chance.between(1, item.size) }
    const start = chance.between(0, item.size - 1)
    return {
      headers: { range: `bytes=${start}-${chance.chance(0.5) ? '' : chance.between(start, item.size - 1)}` },
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
  assert.ok(started, agent.said)
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
    assert.ok(performance.now() < deadline, `waited a minute in vain for ${what}`)
    await delay(100)
  }
}
