import assert from 'node:assert/strict'
import type { AgentOptions } from '../../../src/agent.ts'
import { type Digest, hexOf, parseDigest } from '../../../src/oci/digest.ts'
import { openStore } from '../../../src/store/open.ts'
import type { FaultyUpstream } from '../../../testkit/registries/faulty-upstream.ts'
import type { SeededRandom } from '../../../testkit/seeded-random.ts'
import { AgentChild } from '../agent/agent-child.ts'
import { Contents, checkAnswer, type Item, isHit, NAMESPACE } from './content.ts'
import { blobFiles, hashOf, partialSizes } from './data-folder.ts'
import { type PullOptions, pull } from './pull.ts'
import { breakOnce } from './upstream-faults.ts'

const CLIENTS = 6
const MIB = 1024 * 1024
/** One agent in so many is killed while it starts. */
export const KILL_AT_START_EVERY = 10
/** A start takes at least so many disk steps. */
const STEPS_OF_A_START = 6
/** How many older blobs are requested at each start, besides those that the last agent has stored. */
const OLDER_CHECKED = 6

/** The agents that use the data folder one after another, and what they have stored. */
export class KillRun {
  readonly #upstream: FaultyUpstream
  /** The next agent, whose code is loaded while the current one is used. */
  #spare = new AgentChild()
  readonly #data: string
  readonly #random: SeededRandom
  readonly #contents: Contents
  readonly #items = new Map<Digest, Item>()
  /** The digests that killed agents have reported as stored. */
  readonly #acknowledged = new Set<Digest>()
  /** The digests that the last killed agent has reported. */
  #latest: Digest[] = []
  #requestsSeen = 0
  #whole = 0
  #received = 0
  resumed = 0
  killedAtStart = 0

  constructor(upstream: FaultyUpstream, data: string, random: SeededRandom) {
    this.#upstream = upstream
    this.#data = data
    this.#random = random
    this.#contents = new Contents(upstream, random)
  }

  get summary(): string {
    return [
      `${this.#acknowledged.size} blobs stored`,
      `${this.#whole} answers whole`,
      `${Math.round(this.#received / MIB)} MiB received`,
      `${this.resumed} resumed`,
      `${this.killedAtStart} killed at the start`,
    ].join(', ')
  }

  async cycle(number: number): Promise<void> {
    this.#upstream.heal()
    const partials = await partialSizes(this.#data)
    const agent = this.#spare
    this.#spare = new AgentChild()
    const stored: Digest[] = []
    /** The offset at which the first flight of each digest began. */
    const firstOffsets = new Map<Digest, number>()
    agent.onMessage((message) => {
      if (message.is === 'stored') stored.push(message.digest)
      if (message.is === 'flight-started' && !firstOffsets.has(message.digest))
        firstOffsets.set(message.digest, message.resumedAt)
    })
    const { killBeforeStep, killAfter } = this.#chooseMoment(number)
    if (await agent.start(this.#options, { killBeforeStep })) {
      await this.#checkStored(agent)
      await this.#load(agent, partials, killAfter)
    } else this.killedAtStart += 1
    this.#upstream.release()
    await agent.kill()
    assert.equal(agent.output, '', 'an agent wrote to its output')
    this.#checkResumed(partials, firstOffsets)
    this.#checkUpstream()
    for (const digest of stored) this.#acknowledged.add(digest)
    if (stored.length > 0) this.#latest = stored
  }

  /** Checks the index and the files after the last kill. */
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
      upstreams: { entries: [{ namespace: NAMESPACE, hosts: [this.#upstream.host], tls: false }] },
    }
  }

  /** When to kill the agent: before a disk step, of the start or later, or when clients have received so many bytes. */
  #chooseMoment(number: number): { killBeforeStep: number | undefined; killAfter: number } {
    if (number % KILL_AT_START_EVERY === 0)
      return { killBeforeStep: this.#random.between(1, STEPS_OF_A_START), killAfter: 0 }
    const kind = this.#random.fraction()
    if (kind < 0.5) return { killBeforeStep: undefined, killAfter: this.#random.between(0, 6 * MIB) }
    return { killBeforeStep: this.#random.between(1, kind < 0.6 ? 12 : 120), killAfter: 8 * MIB }
  }

  /** Checks that blobs that were stored before are served from the store, with the right bytes. */
  async #checkStored(agent: AgentChild): Promise<void> {
    const older = [...this.#acknowledged]
    const digests = new Set(this.#latest)
    for (let n = 0; n < OLDER_CHECKED && older.length > 0; n++) digests.add(this.#random.pick(older))
    await Promise.all(
      [...digests].map(async (digest) => {
        const item = this.#items.get(digest)
        if (item === undefined) return
        const got = await pull(agent.address, item.path)
        if (got.status === 0 || (got.status === 200 && !got.complete && agent.hasEnded)) return
        assert.equal(got.status, 200, `${digest} was stored`)
        assert.ok(isHit(got), `${digest} was stored, and is ${got.headers['cache-status']}`)
        this.#checkAnswer(item, got.complete ? got : { ...got, status: 0 })
      }),
    )
  }

  async #load(agent: AgentChild, partials: ReadonlyMap<Digest, number>, killAfter: number): Promise<void> {
    const wanted = this.#wanted(partials)
    let received = 0
    const onBytes = (length: number): void => {
      this.#received += length
      received += length
      if (received >= killAfter && !agent.hasEnded) void agent.kill()
    }
    // All random choices are made before the first request, so that the order of answers does not change them.
    const plans = Array.from({ length: CLIENTS }, () => this.#plan(wanted))
    await Promise.all(
      plans.map(async (plan) => {
        for (const { item, path, options } of plan) {
          if (agent.hasEnded) return
          const got = await pull(agent.address, path, { ...options, onBytes })
          if (options.method !== 'HEAD') this.#checkAnswer(item, got)
        }
      }),
    )
  }

  /** New images and blobs, and interrupted ones. Upstream has a fault for some of them. */
  #wanted(partials: ReadonlyMap<Digest, number>): Item[] {
    const fresh = [
      ...this.#contents.image(this.#random.between(1, 3), 100, 300_000),
      this.#contents.blob(0, 70_000),
      this.#contents.blob(60_000, 2 * MIB),
    ]
    const large = this.#contents.blob(6 * MIB, 12 * MIB)
    if (partials.size === 0) fresh.push(large)
    for (const item of fresh) this.#items.set(item.digest, item)
    const interrupted = [...partials.keys()].flatMap((digest) => this.#items.get(digest) ?? [])
    for (const item of [...fresh, ...interrupted]) {
      if (item.size > 4 * MIB) {
        this.#upstream.fault(item.digest, {
          drip: { bytes: 64 * 1024, everyMs: this.#random.between(0, 3) },
          times: 1,
        })
      } else if (this.#random.chance(0.3)) breakOnce(this.#upstream, this.#random, item)
    }
    return [...fresh, ...interrupted]
  }

  #plan(wanted: readonly Item[]): { item: Item; path: string; options: PullOptions }[] {
    const known = [...this.#acknowledged].slice(-50).flatMap((digest) => this.#items.get(digest) ?? [])
    const items = wanted
      .map((item) => ({ item, rank: this.#random.fraction() }))
      .sort((one, other) => one.rank - other.rank)
      .map(({ item }) => (known.length > 0 && this.#random.chance(0.2) ? this.#random.pick(known) : item))
    return items.map((item) => {
      const path = item.tagPath !== undefined && this.#random.chance(0.5) ? item.tagPath : item.path
      return { item, path, options: this.#pullOptions(item) }
    })
  }

  #pullOptions(item: Item): PullOptions {
    const kind = this.#random.fraction()
    if (kind < 0.6 || item.bytes === undefined || item.size === 0) return {}
    if (kind < 0.7) return { method: 'HEAD' }
    if (kind < 0.85) return { leaveAfter: this.#random.between(1, item.size) }
    const start = this.#random.between(0, item.size - 1)
    const end = this.#random.chance(0.5) ? '' : this.#random.between(start, item.size - 1)
    return { headers: { range: `bytes=${start}-${end}` } }
  }

  #checkAnswer(item: Item, got: Parameters<typeof checkAnswer>[1]): void {
    if (checkAnswer(item, got)) this.#whole += 1
  }

  /** Checks that the first flight of an interrupted blob continues after its partial file. */
  #checkResumed(partials: ReadonlyMap<Digest, number>, firstOffsets: ReadonlyMap<Digest, number>): void {
    for (const [digest, size] of partials) {
      const beganAt = firstOffsets.get(digest)
      if (beganAt === undefined || this.#acknowledged.has(digest)) continue
      assert.equal(beganAt, size, `${digest} did not continue after its partial file`)
      const item = this.#items.get(digest)
      if (item === undefined || size >= item.size) continue
      const requests = this.#upstream.requests.slice(this.#requestsSeen)
      const first = requests.find(({ path, method }) => method === 'GET' && path.endsWith(digest))
      if (first === undefined) continue
      assert.equal(first.headers.range, `bytes=${size}-`)
      this.resumed += 1
    }
  }

  /** Checks that no agent has fetched a digest that an earlier one had stored. */
  #checkUpstream(): void {
    for (const { path, method } of this.#upstream.requests.slice(this.#requestsSeen)) {
      const digest = parseDigest(path.split('?', 1)[0]?.split('/').pop() ?? '')
      if (method === 'GET' && digest !== undefined) {
        assert.ok(!this.#acknowledged.has(digest), `${digest} was stored, and upstream was asked for it`)
      }
    }
    this.#requestsSeen = this.#upstream.requests.length
  }
}
