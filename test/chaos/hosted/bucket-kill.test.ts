import assert from 'node:assert/strict'
import { after, it } from 'node:test'
import type { AgentOptions } from '../../../src/agent.ts'
import { FakeS3 } from '../../../testkit/object-store/fake-s3.ts'
import { numberFromEnvironment, seededRandom } from '../../../testkit/seeded-random.ts'
import { hostedIn } from '../../hosted/bucket/bucket-lab.ts'
import { AgentChild } from '../agent/agent-child.ts'
import { emptyFolder } from '../support/data-folder.ts'
import { Pushers } from './pushers.ts'

/** Clients push to an agent that hosts in a bucket, and it is killed again and again. Another agent is asked what there is. */

const CYCLES = numberFromEnvironment('LEAT_CHAOS_CYCLES') ?? 6
/** The agent is killed after so many answers of one run. */
const MOST_ANSWERS = 40

after(() => AgentChild.endAll())

it(`${CYCLES} kills of an agent lose nothing that it has answered, and another agent sees nothing half`, {
  timeout: 60_000 * CYCLES,
}, async (t) => {
  const random = seededRandom('bucket-kill')
  const optionsFor = (data: string, s3: FakeS3): AgentOptions => ({
    data,
    listen: { host: '127.0.0.1', port: 0 },
    ...hostedIn(s3),
  })
  const forOther = await FakeS3.start()
  t.after(() => forOther.close())
  const other = new AgentChild()
  await other.start(optionsFor(await emptyFolder(t), forOther))
  const data = await emptyFolder(t)
  const pushers = new Pushers(random)
  for (let cycle = 1; cycle <= CYCLES; cycle++) {
    // The same bucket behind a server of this cycle: once it is closed, nothing of the killed agent can reach the bucket.
    const s3 = await FakeS3.start(forOther.bucket, { objects: forOther.objects })
    try {
      const agent = new AgentChild()
      await agent.start(optionsFor(data, s3))
      await pushers.inspect(other.address, agent.address)
      await pushers.pushUntil(agent.address, random.between(0, MOST_ANSWERS), () => void agent.kill())
      assert.equal((await agent.exited()).signal, 'SIGKILL')
    } catch (cause) {
      throw new Error(`in cycle ${cycle}: ${cause instanceof Error ? cause.message : cause}`, { cause })
    } finally {
      await s3.close()
    }
  }
  const last = new AgentChild()
  await last.start(optionsFor(data, forOther))
  await pushers.inspect(other.address, last.address)
  assert.equal(await last.stop(), 0)
  assert.equal(await other.stop(), 0)
  console.log(`${pushers.pushed} pushes and ${pushers.deleted} deletions were answered`)
  assert.ok(pushers.pushed > 0)
})
