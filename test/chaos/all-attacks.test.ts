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
import { numberFrom } from '../../testkit/seeded-random.ts'
import { type ReceivedAnswer, requestHttp1, requestHttp2 } from '../registry-api/test-server.ts'

/** Every attack again and again on an agent that speaks plain HTTP and on one that speaks TLS, while others pull. */

const SECONDS = numberFrom('LEAT_SOAK_SECONDS') ?? 25
const QUIET_SECONDS = 2
const MIB = 1024 * 1024
const MOST_RSS = 512 * MIB
/** What the allocators of V8 and the C library keep of their peak. */
const MOST_RSS_AFTER_MORE = 192 * MIB
/** Only what hangs takes so long, however busy the machine is. */
const HANG_MS = 120_000
const ESTABLISH_MS = 10_000
const SAMPLE_MS = 100
const RETURN_MS = 60_000
const SPARE_DESCRIPTORS = 20

test(`${SECONDS} s of all attacks at once leave the agent serving, small and as it was`, {
  timeout: (SECONDS + 600) * 1000,
}, async (t) => {
  if (process.platform !== 'linux') return t.skip('missing: /proc, to look at the memory of an agent')
  const agents = [await startAttackedAgent(t), await startAttackedAgent(t, { tls: true })]
  const quiet = await pullFor(agents, QUIET_SECONDS * 1000)
  assert.equal(quiet.refused, 0, 'somebody was refused with nobody there')
  const before = await Promise.all(agents.map(sampleOf))

  const attackers = await Promise.all(agents.map(() => Attacker.start(t)))
  await Promise.all(
    agents.map((agent, index) =>
      attackers[index]?.attack('everything', agent, { holdMs: SECONDS * 1000, establishMs: ESTABLISH_MS }),
    ),
  )
  const attacked = await pullFor(agents, SECONDS * 1000)
  const reports = await Promise.all(attackers.map((attacker) => attacker.end()))

  console.log(`quiet: ${told(quiet)}\nattacked: ${told(attacked)}`)
  console.log(`attacks: ${JSON.stringify(reports)}`)
  assert.ok(attacked.times.length > 0, 'nobody got anything')
  for (const [index, agent] of agents.entries()) await returns(t, agent, before[index])
  const after = await pullFor(agents, 1000)
  assert.equal(after.refused, 0, 'somebody is still refused')
})

interface Pulls {
  readonly times: number[]
  refused: number
  /** Answers that were cut off, as an honest client may look slow on a busy machine. It went on with `Range`. */
  cut: number
  mostRss: number
}

/** Two clients for each agent pull for so long; each gets everything in the end, and it is right. Ends at once when an agent is too large. */
async function pullFor(agents: readonly AttackedAgent[], ms: number): Promise<Pulls> {
  const pulls: Pulls = { times: [], refused: 0, cut: 0, mostRss: 0 }
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
    console.log(`until it failed: ${told(pulls)}`)
    throw failures[0]
  }
  return pulls
}

async function client(
  { port, ca, honest }: AttackedAgent,
  by: typeof requestHttp1,
  pulls: Pulls,
  over: AbortSignal,
): Promise<void> {
  for (let next = 0; !over.aborted; next += 1) {
    const { path, bytes } = honest[next % honest.length] ?? assert.fail('nothing to pull')
    const what = `${by === requestHttp1 ? 'HTTP/1.1' : 'HTTP/2'}${ca === undefined ? '' : ' over TLS'}: ${path.slice(0, 40)}`
    const hung = new AbortController()
    const from = performance.now()
    try {
      const pull = (headers: Record<string, string>) => by(port, path, { ca, headers, signal: hung.signal })
      const got = await within(HANG_MS, what, inTheEnd(pull, bytes.length, pulls))
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

/** Goes on where it was cut off, and comes again when it was refused, until all of it is there. */
async function inTheEnd(
  pull: (headers: Record<string, string>) => Promise<ReceivedAnswer>,
  size: number,
  pulls: Pulls,
): Promise<Buffer> {
  let body: Buffer = Buffer.alloc(0)
  for (;;) {
    const got = await orClosed(pull(body.length === 0 ? {} : { range: `bytes=${body.length}-` }))
    if (got?.status === 503) pulls.refused += 1
    else if (got?.status === 200) body = got.body
    else if (got?.status === 206) body = Buffer.concat([body, got.body])
    else assert.equal(got, undefined, `status ${got?.status}`)
    if (body.length >= size) return body
    if (got?.status !== 503) pulls.cut += 1
    // Whoever is refused comes again a little later.
    await delay(10)
  }
}

/** undefined: the connection was closed. */
function orClosed(answer: Promise<ReceivedAnswer>): Promise<ReceivedAnswer | undefined> {
  return answer.catch((error: unknown) => {
    const { code = '', message = '' } = error as NodeJS.ErrnoException
    if (code === 'ECONNRESET' || message.includes('was closed before an answer')) return undefined
    throw error
  })
}

async function watch(agent: AttackedAgent, pulls: Pulls, over: AbortSignal): Promise<void> {
  while (!over.aborted) {
    const { rss } = await sampleOf(agent)
    pulls.mostRss = Math.max(pulls.mostRss, rss)
    assert.ok(rss < MOST_RSS, `an agent has ${Math.round(rss / MIB)} MiB`)
    await delay(SAMPLE_MS)
  }
}

/** Descriptors and memory come back, and nothing is in use. */
async function returns(t: TestContext, agent: AttackedAgent, before: Sample | undefined): Promise<void> {
  assert.ok(before !== undefined)
  const deadline = performance.now() + RETURN_MS
  for (;;) {
    const { rss, descriptors } = await sampleOf(agent)
    const used = await usedBy(agent)
    const isBack =
      descriptors <= before.descriptors + SPARE_DESCRIPTORS &&
      rss <= before.rss + MOST_RSS_AFTER_MORE &&
      used === 0
    const now = `${descriptors} descriptors and ${Math.round(rss / MIB)} MiB, ${used} things in use`
    if (isBack) {
      t.diagnostic(`afterwards: ${now}`)
      return
    }
    const then = `${before.descriptors} descriptors and ${Math.round(before.rss / MIB)} MiB`
    assert.ok(performance.now() < deadline, `${now}; before there were ${then}`)
    await delay(SAMPLE_MS)
  }
}

async function usedBy({ admin }: AttackedAgent): Promise<number> {
  const response = await fetch(`${admin}/api/v1/status`, { signal: AbortSignal.timeout(HANG_MS) })
  const { clients } = v.parse(StatusReport, await response.json())
  return Object.values(clients).reduce((sum, count) => sum + count, 0)
}

function told({ times, refused, cut, mostRss }: Pulls): string {
  const sorted = times.toSorted((a, b) => a - b)
  const at = (share: number): number => Math.round(sorted[Math.floor(share * (sorted.length - 1))] ?? 0)
  const memory = `at most ${Math.round(mostRss / MIB)} MiB`
  return `${times.length} pulls, ${refused} refused, ${cut} cut off, p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, ${memory}`
}
