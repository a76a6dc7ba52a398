import assert from 'node:assert/strict'
import { after, before, it } from 'node:test'
import type { AgentOptions } from '../../src/agent.ts'
import { type Digest, hexOf, parseDigest } from '../../src/oci/digest.ts'
import { openStore } from '../../src/store/open.ts'
import { type FaultyUpstream, startFaultyUpstream } from '../../testkit/registries/faulty-upstream.ts'
import { type Dice, dice, numberFrom } from '../../testkit/seeded-random.ts'
import { AgentChild } from './agent/agent-child.ts'
import { Contents, type Item, isHit, judge, NAMESPACE } from './support/content.ts'
import { blobFiles, emptyFolder, hashOf, partialSizes } from './support/data-folder.ts'
import { type Asking, pull } from './support/pull.ts'
import { breakOnce } from './support/upstream-faults.ts'

/** One data folder, used by one agent after another, each killed at another moment of its work. */

const CYCLES = numberFrom('LEAT_CHAOS_CYCLES') ?? 70
/** Whoever waits for it hears of it after so many. */
const TOLD_EACH = 10
const CLIENTS = 6
const MIB = 1024 * 1024
/** One in so many is killed while it starts. */
const AT_START_EACH = 10
/** Towards the disk, at least. */
const STEPS_OF_A_START = 6
/** Asked for at each start, besides what was stored last. */
const LOOKED_AFTER = 6

let upstream: FaultyUpstream
let spare: AgentChild

before(async () => {
  upstream = await startFaultyUpstream()
  spare = new AgentChild()
})

after(async () => {
  await AgentChild.endAll()
  await upstream.close()
})

it(`${CYCLES} times killed at any moment: nothing acknowledged is lost, nothing half-written is served`, {
  timeout: 60_000 * CYCLES,
}, async (t) => {
  const chance = dice('kill')
  const run = new Run(await emptyFolder(t), chance)
  // What comes after a cycle that failed says nothing.
  let isRight = true
  for (let first = 1; first <= CYCLES && isRight; first += TOLD_EACH) {
    const last = Math.min(CYCLES, first + TOLD_EACH - 1)
    await t.test(`cycles ${first} to ${last}`, async () => {
      isRight = false
      for (let cycle = first; cycle <= last; cycle++)
        await run.cycle(cycle).catch((cause) => fail(cycle, cause))
      isRight = true
    })
  }
  if (!isRight) return
  console.log(run.summary)
  assert.ok(run.resumed > 0, 'no blob was ever gone on with')
  assert.ok(run.killedAtStart > 0 || CYCLES < AT_START_EACH, 'no agent was ever killed while it started')
  await run.inspect()
})

function fail(cycle: number, cause: unknown): never {
  throw new Error(`in cycle ${cycle}: ${cause instanceof Error ? cause.message : cause}`, { cause })
}

class Run {
  readonly #data: string
  readonly #dice: Dice
  readonly #contents: Contents
  readonly #items = new Map<Digest, Item>()
  /** Said to be stored by an agent that has been killed since. */
  readonly #acknowledged = new Set<Digest>()
  /** Said so by the agent that was killed last. */
  #latest: Digest[] = []
  #requestsSeen = 0
  #whole = 0
  #received = 0
  resumed = 0
  killedAtStart = 0

  constructor(data: string, chance: Dice) {
    this.#data = data
    this.#dice = chance
    this.#contents = new Contents(upstream, chance)
  }

  get summary(): string {
    return [
      `${this.#acknowledged.size} blobs stored`,
      `${this.#whole} answers whole`,
      `${Math.round(this.#received / MIB)} MiB received`,
      `${this.resumed} gone on with`,
      `${this.killedAtStart} killed at the start`,
    ].join(', ')
  }

  async cycle(number: number): Promise<void> {
    upstream.heal()
    const left = await partialSizes(this.#data)
    const agent = spare
    spare = new AgentChild()
    const stored: Digest[] = []
    /** The first flight of each digest: where it began. */
    const beginnings = new Map<Digest, number>()
    agent.onNews((news) => {
      if (news.is === 'stored') stored.push(news.digest)
      if (news.is === 'flying' && !beginnings.has(news.digest)) beginnings.set(news.digest, news.resumedAt)
    })
    const { dieBefore, enough } = this.#moment(number)
    if (await agent.start(this.#options, { dieBefore })) {
      await this.#lookAfter(agent)
      await this.#load(agent, left, enough)
    } else this.killedAtStart += 1
    upstream.release()
    await agent.kill()
    assert.equal(agent.said, '', 'an agent wrote something')
    this.#checkResumed(left, beginnings)
    this.#checkUpstream()
    for (const digest of stored) this.#acknowledged.add(digest)
    if (stored.length > 0) this.#latest = stored
  }

  /** What the disk looks like when all is over. */
  async inspect(): Promise<void> {
    const store = await openStore({ path: this.#data })
    try {
      await store.recovered
      const files = await blobFiles(this.#data)
      for (const [digest, file] of files) assert.equal(await hashOf(file), hexOf(digest))
      const entries = new Set<Digest>()
      for await (const { digest } of store.list()) entries.add(digest)
      assert.deepEqual([...entries].sort(), [...files.keys()].sort())
      for (const digest of this.#acknowledged) assert.ok(entries.has(digest), `${digest} is lost`)
    } finally {
      await store.close()
    }
  }

  get #options(): AgentOptions {
    return {
      data: this.#data,
      listen: { host: '127.0.0.1', port: 0 },
      patience: { progressTimeoutMs: 300, sizeTimeoutMs: 3000, retryPauseMs: 5 },
      upstreams: { entries: [{ namespace: NAMESPACE, hosts: [upstream.host], tls: false }] },
    }
  }

  /** Before a step towards the disk, some of which belong to the start; or when clients have got so many bytes. */
  #moment(number: number): { dieBefore: number | undefined; enough: number } {
    if (number % AT_START_EACH === 0) return { dieBefore: this.#dice.between(1, STEPS_OF_A_START), enough: 0 }
    const kind = this.#dice.fraction()
    if (kind < 0.5) return { dieBefore: undefined, enough: this.#dice.between(0, 6 * MIB) }
    return { dieBefore: this.#dice.between(1, kind < 0.6 ? 12 : 120), enough: 8 * MIB }
  }

  /** What was stored before is here, with the right bytes, and nobody else is asked for it. */
  async #lookAfter(agent: AgentChild): Promise<void> {
    const older = [...this.#acknowledged]
    const digests = new Set(this.#latest)
    for (let n = 0; n < LOOKED_AFTER && older.length > 0; n++) digests.add(this.#dice.pick(older))
    await Promise.all(
      [...digests].map(async (digest) => {
        const item = this.#items.get(digest)
        if (item === undefined) return
        const got = await pull(agent.address, item.path)
        if (got.status === 0 || (got.status === 200 && !got.complete && agent.isGone)) return
        assert.equal(got.status, 200, `${digest} was stored`)
        assert.ok(isHit(got), `${digest} was stored, and is ${got.headers['cache-status']}`)
        this.#judge(item, got.complete ? got : { ...got, status: 0 })
      }),
    )
  }

  async #load(agent: AgentChild, left: ReadonlyMap<Digest, number>, enough: number): Promise<void> {
    const wanted = this.#wanted(left)
    let received = 0
    const onBytes = (length: number): void => {
      this.#received += length
      received += length
      if (received >= enough && !agent.isGone) void agent.kill()
    }
    // Thrown before anything is asked, so that the order of answers changes none of it.
    const plans = Array.from({ length: CLIENTS }, () => this.#plan(wanted))
    await Promise.all(
      plans.map(async (plan) => {
        for (const { item, path, asking } of plan) {
          if (agent.isGone) return
          const got = await pull(agent.address, path, { ...asking, onBytes })
          if (asking.method !== 'HEAD') this.#judge(item, got)
        }
      }),
    )
  }

  /** New images and blobs, and what was interrupted; some of it will meet a fault. */
  #wanted(left: ReadonlyMap<Digest, number>): Item[] {
    const fresh = [
      ...this.#contents.image(this.#dice.between(1, 3), 100, 300_000),
      this.#contents.blob(0, 70_000),
      this.#contents.blob(60_000, 2 * MIB),
    ]
    const large = this.#contents.blob(6 * MIB, 12 * MIB)
    if (left.size === 0) fresh.push(large)
    for (const item of fresh) this.#items.set(item.digest, item)
    const interrupted = [...left.keys()].flatMap((digest) => this.#items.get(digest) ?? [])
    for (const item of [...fresh, ...interrupted]) {
      if (item.size > 4 * MIB) {
        upstream.fault(item.digest, {
          drip: { bytes: 64 * 1024, everyMs: this.#dice.between(0, 3) },
          times: 1,
        })
      } else if (this.#dice.chance(0.3)) breakOnce(upstream, this.#dice, item)
    }
    return [...fresh, ...interrupted]
  }

  #plan(wanted: readonly Item[]): { item: Item; path: string; asking: Asking }[] {
    const known = [...this.#acknowledged].slice(-50).flatMap((digest) => this.#items.get(digest) ?? [])
    const items = wanted
      .map((item) => ({ item, order: this.#dice.fraction() }))
      .sort((one, other) => one.order - other.order)
      .map(({ item }) => (known.length > 0 && this.#dice.chance(0.2) ? this.#dice.pick(known) : item))
    return items.map((item) => {
      const path = item.tagPath !== undefined && this.#dice.chance(0.5) ? item.tagPath : item.path
      return { item, path, asking: this.#asking(item) }
    })
  }

  #asking(item: Item): Asking {
    const throwing = this.#dice.fraction()
    if (throwing < 0.6 || item.bytes === undefined || item.size === 0) return {}
    if (throwing < 0.7) return { method: 'HEAD' }
    if (throwing < 0.85) return { leaveAfter: this.#dice.between(1, item.size) }
    const start = this.#dice.between(0, item.size - 1)
    const end = this.#dice.chance(0.5) ? '' : this.#dice.between(start, item.size - 1)
    return { headers: { range: `bytes=${start}-${end}` } }
  }

  #judge(item: Item, got: Parameters<typeof judge>[1]): void {
    if (judge(item, got)) this.#whole += 1
  }

  /** What came before the agent was killed is the start of the next attempt. */
  #checkResumed(left: ReadonlyMap<Digest, number>, beginnings: ReadonlyMap<Digest, number>): void {
    for (const [digest, size] of left) {
      const beganAt = beginnings.get(digest)
      if (beganAt === undefined || this.#acknowledged.has(digest)) continue
      assert.equal(beganAt, size, `${digest} was begun anew`)
      const item = this.#items.get(digest)
      if (item === undefined || size >= item.size) continue
      const asked = upstream.requests.slice(this.#requestsSeen)
      const first = asked.find(({ path, method }) => method === 'GET' && path.endsWith(digest))
      if (first === undefined) continue
      assert.equal(first.headers.range, `bytes=${size}-`)
      this.resumed += 1
    }
  }

  /** Upstream is never asked for what an earlier agent has said to have. */
  #checkUpstream(): void {
    for (const { path, method } of upstream.requests.slice(this.#requestsSeen)) {
      const digest = parseDigest(path.split('?', 1)[0]?.split('/').pop() ?? '')
      if (method === 'GET' && digest !== undefined) {
        assert.ok(!this.#acknowledged.has(digest), `${digest} was stored, and upstream was asked for it`)
      }
    }
    this.#requestsSeen = upstream.requests.length
  }
}
