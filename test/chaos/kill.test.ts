import assert from 'node:assert/strict'
import { after, before, it } from 'node:test'
import { type FaultyUpstream, startFaultyUpstream } from '../../testkit/registries/faulty-upstream.ts'
import { numberFromEnvironment, seededRandom } from '../../testkit/seeded-random.ts'
import { AgentChild } from './agent/agent-child.ts'
import { emptyFolder } from './support/data-folder.ts'
import { KILL_AT_START_EVERY, KillRun } from './support/kill-run.ts'

/** One agent after another uses one data folder, and each is killed at another moment. */

const CYCLES = numberFromEnvironment('LEAT_CHAOS_CYCLES') ?? 70
/** How many cycles are one subtest, so that the progress is visible. */
const CYCLES_PER_TEST = 10

let upstream: FaultyUpstream

before(async () => {
  upstream = await startFaultyUpstream()
})

after(async () => {
  await AgentChild.endAll()
  await upstream.close()
})

it(`${CYCLES} kills at random moments lose no stored blob and serve no partly written one`, {
  timeout: 60_000 * CYCLES,
}, async (t) => {
  const random = seededRandom('kill')
  const run = new KillRun(upstream, await emptyFolder(t), random)
  // The cycles after a failed one are skipped, because its data may be damaged.
  let hasPassed = true
  for (let first = 1; first <= CYCLES && hasPassed; first += CYCLES_PER_TEST) {
    const last = Math.min(CYCLES, first + CYCLES_PER_TEST - 1)
    await t.test(`cycles ${first} to ${last}`, async () => {
      hasPassed = false
      for (let cycle = first; cycle <= last; cycle++)
        await run.cycle(cycle).catch((cause) => fail(cycle, cause))
      hasPassed = true
    })
  }
  if (!hasPassed) return
  console.log(run.summary)
  assert.ok(run.resumed > 0, 'no partial blob was ever resumed')
  assert.ok(
    run.killedAtStart > 0 || CYCLES < KILL_AT_START_EVERY,
    'no agent was ever killed while it started',
  )
  await run.inspect()
})

function fail(cycle: number, cause: unknown): never {
  throw new Error(`in cycle ${cycle}: ${cause instanceof Error ? cause.message : cause}`, { cause })
}
