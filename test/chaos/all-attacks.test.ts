import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import * as v from 'valibot'
import { StatusReport } from '../../src/schemas/status-report.ts'
import {
  type AttackedAgent,
  type Sample,
  sampleOf,
  startAttackedAgent,
} from '../../testkit/attacks/attacked-agent.ts'
import { Attacker } from '../../testkit/attacks/attacker.ts'
import { within } from '../../testkit/deadline.ts'
import { numberFromEnvironment } from '../../testkit/seeded-random.ts'
import { type ReceivedAnswer, requestHttp1, requestHttp2 } from '../registry-api/test-server.ts'

/** All attacks run repeatedly on an agent with plain HTTP and on one with TLS, while honest clients pull. */

const SECONDS = numberFromEnvironment('LEAT_SOAK_SECONDS') ?? 25
const QUIET_SECONDS = 2
const MIB = 1024 * 1024
const MAX_RSS = 512 * MIB
/** How much memory the allocators of V8 and the C library may keep afterwards. */
const MAX_KEPT_RSS = 192 * MIB
/** Only a request that hangs takes so long, however busy the machine is. */
const HANG_MS = 120_000
const ESTABLISH_MS = 10_000
const SAMPLE_MS = 100
const RETURN_MS = 60_000
const SPARE_DESCRIPTORS = 20

test(`${SECONDS} s of all attacks at once leave the agent serving, and it frees everything afterwards`, {
  timeout: (SECONDS + 600) * 1000,
}, async (t) => {
  if (process.platform !== 'linux') return t.skip('missing: /proc, to look at the memory of an agent')
  const agents = [await startAttackedAgent(t), await startAttackedAgent(t, { tls: true })]
  const quiet = await pullFor(agents, QUIET_SECONDS * 1000)
  assert.equal(quiet.rejected, 0, 'a client was rejected without an attack')
  const before = await Promise.all(agents.map(sampleOf))

  const attackers = await Promise.all(agents.map(() => Attacker.start(t)))
  await Promise.all(
    agents.map((agent, index) =>
      attackers[index]?.attack('everything', agent, { holdMs: SECONDS * 1000, establishMs: ESTABLISH_MS }),
    ),
  )
  const attacked = await pullFor(agents, SECONDS * 1000)
  const reports = await Promise.all(attackers.map((attacker) => attacker.end()))

  console.log(`quiet: ${summary(quiet)}\nattacked: ${summary(attacked)}`)
  console.log(`attacks: ${JSON.stringify(reports)}`)
  assert.ok(attacked.times.length > 0, 'no client got an answer')
  for (const [index, agent] of agents.entries()) await assertRecovered(t, agent, before[index])
  const after = await pullFor(agents, 1000)
  assert.equal(after.rejected, 0, 'a client is still rejected')
})

interface PullCounts {
  readonly times: number[]
  rejected: number
  /** Answers that were cut off, because an honest client can look slow on a busy machine. It continues with `Range`. */
  cut: number
  mostRss: number
}

/** Two clients of each agent pull for `ms` and check all answers. Fails at once when an agent uses too much memory. */
async function pullFor(agents: readonly AttackedAgent[], ms: number): Promise<PullCounts> {
  const pulls: PullCounts = { times: [], rejected: 0, cut: 0, mostRss: 0 }
  const over = new AbortController()
  const failures: unknown[] = []
  const fail = (error: unknown): void => {
    failures.push(error)
    over.abort()
  }
  const timer = setTimeout(() => over.abort(), ms)
  const clients = agents.flatMap((agent) =>
    [requestHttp1, requestHttp2].map((by) => client(agent, by, pulls, over.signal)),
  )
  const watchers = agents.map((agent) => watch(agent, pulls, over.signal))
  await Promise.all([...clients, ...watchers].map((each) => each.catch(fail)))
  clearTimeout(timer)
  if (failures.length > 0) {
    console.log(`until the failure: ${summary(pulls)}`)
    throw failures[0]
  }
  return pulls
}

async function client(
  { port, ca, honest }: AttackedAgent,
  by: typeof requestHttp1,
  pulls: PullCounts,
  over: AbortSignal,
): Promise<void> {
  for (let next = 0; !over.aborted; next += 1) {
    const { path, bytes } = honest[next % honest.length] ?? assert.fail('nothing to pull')
    const what = `${by === requestHttp1 ? 'HTTP/1.1' : 'HTTP/2'}${ca === undefined ? '' : ' over TLS'}: ${path.slice(0, 40)}`
    const hung = new AbortController()
    const from = performance.now()
    try {
      const pull = (headers: Record<string, string>) => by(port, path, { ca, headers, signal: hung.signal })
      const got = await within(HANG_MS, what, pullWhole(pull, bytes.length, pulls))
      assert.ok(got.equals(bytes), `${what}: other bytes`)
    } catch (error) {
      throw new Error(`${what} failed after ${Math.round(performance.now() - from)} ms`, { cause: error })
    } finally {
      hung.abort()
    }
    pulls.times.push(performance.now() - from)
    await delay(10)
  }
}

/** Continues an answer that was cut off, and repeats a rejected request, until the whole body has come. */
async function pullWhole(
  pull: (headers: Record<string, string>) => Promise<ReceivedAnswer>,
  size: number,
  pulls: PullCounts,
): Promise<Buffer> {
  let body: Buffer = Buffer.alloc(0)
  for (;;) {
    const got = await orClosed(pull(body.length === 0 ? {} : { range: `bytes=${body.length}-` }))
    if (got?.status === 503) pulls.rejected += 1
    else if (got?.status === 200) body = got.body
    else if (got?.status === 206) body = Buffer.concat([body, got.body])
    else assert.equal(got, undefined, `status ${got?.status}`)
    if (body.length >= size) return body
    if (got?.status !== 503) pulls.cut += 1
    // A rejected client tries again a little later.
    await delay(10)
  }
}

/** The answer, or undefined when the connection was closed. */
function orClosed(answer: Promise<ReceivedAnswer>): Promise<ReceivedAnswer | undefined> {
  return answer.catch((error: unknown) => {
    const { code = '', message = '' } = error as NodeJS.ErrnoException
    if (code === 'ECONNRESET' || message.includes('was closed before an answer')) return undefined
    throw error
  })
}

async function watch(agent: AttackedAgent, pulls: PullCounts, over: AbortSignal): Promise<void> {
  while (!over.aborted) {
    const { rss } = await sampleOf(agent)
    pulls.mostRss = Math.max(pulls.mostRss, rss)
    assert.ok(rss < MAX_RSS, `an agent has ${Math.round(rss / MIB)} MiB`)
    await delay(SAMPLE_MS)
  }
}

/** Asserts that file descriptors and memory are freed, and that no resource is in use. */
async function assertRecovered(
  t: TestContext,
  agent: AttackedAgent,
  before: Sample | undefined,
): Promise<void> {
  assert.ok(before !== undefined)
  const deadline = performance.now() + RETURN_MS
  for (;;) {
    const { rss, descriptors } = await sampleOf(agent)
    const used = await usedBy(agent)
    const isBack =
      descriptors <= before.descriptors + SPARE_DESCRIPTORS &&
      rss <= before.rss + MAX_KEPT_RSS &&
      used.length === 0
    const now = `${descriptors} descriptors and ${Math.round(rss / MIB)} MiB, in use: ${used.join(', ') || 'nothing'}`
    if (isBack) {
      t.diagnostic(`afterwards: ${now}`)
      return
    }
    const then = `${before.descriptors} descriptors and ${Math.round(before.rss / MIB)} MiB`
    assert.ok(performance.now() < deadline, `${now}; before there were ${then}`)
    await delay(SAMPLE_MS)
  }
}

/** What clients hold, such as `seats 3`. */
async function usedBy({ admin }: AttackedAgent): Promise<string[]> {
  const response = await fetch(`${admin}/api/v1/status`, { signal: AbortSignal.timeout(HANG_MS) })
  const { clients } = v.parse(StatusReport, await response.json())
  return Object.entries(clients).flatMap(([name, count]) => (count === 0 ? [] : [`${name} ${count}`]))
}

function summary({ times, rejected, cut, mostRss }: PullCounts): string {
  const sorted = times.toSorted((a, b) => a - b)
  const at = (share: number): number => Math.round(sorted[Math.floor(share * (sorted.length - 1))] ?? 0)
  const memory = `at most ${Math.round(mostRss / MIB)} MiB`
  return `${times.length} pulls, ${rejected} rejected, ${cut} cut off, p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, ${memory}`
}
