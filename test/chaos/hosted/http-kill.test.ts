import assert from 'node:assert/strict'
import { after, it } from 'node:test'
import { numberFromEnvironment, seededRandom } from '../../../testkit/seeded-random.ts'
import { AgentChild } from '../agent/agent-child.ts'
import { emptyFolder } from '../support/data-folder.ts'
import { Pushers } from './pushers.ts'

/** Clients push to an agent over HTTP, and the agent is killed again and again. */

const CYCLES = numberFromEnvironment('LEAT_CHAOS_CYCLES') ?? 12
/** The agent is killed after so many answers of one run. */
const MOST_ANSWERS = 60

after(() => AgentChild.endAll())

it(`${CYCLES} kills of an agent lose nothing that it has answered, and leave nothing half`, {
  timeout: 60_000 * CYCLES,
}, async (t) => {
  const random = seededRandom('http-kill')
  const data = await emptyFolder(t)
  const pushers = new Pushers(random)
  let next = new AgentChild()
  for (let cycle = 1; cycle <= CYCLES; cycle++) {
    const agent = next
    // The next agent loads its code while this one is used.
    next = new AgentChild()
    const loopback = { host: '127.0.0.1', port: 0 }
    await agent.start({ data, listen: loopback, hosted: { names: ['team/**'] } })
    try {
      await pushers.inspect(agent.address)
      await pushers.pushUntil(agent.address, random.between(0, MOST_ANSWERS), () => void agent.kill())
    } catch (cause) {
      throw new Error(`in cycle ${cycle}: ${cause instanceof Error ? cause.message : cause}`, { cause })
    }
    assert.equal((await agent.exited()).signal, 'SIGKILL')
    assert.equal(agent.output, '')
  }
  await next.start({ data, listen: { host: '127.0.0.1', port: 0 }, hosted: { names: ['team/**'] } })
  await pushers.inspect(next.address)
  assert.equal(await next.stop(), 0)
  console.log(`${pushers.pushed} pushes and ${pushers.deleted} deletions were answered`)
  assert.ok(pushers.pushed > 0)
})
