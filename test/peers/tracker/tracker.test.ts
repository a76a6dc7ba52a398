import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import { DEFAULT_FLIGHT_POLICY } from '../../../src/fetch/flight/flight-policy.ts'
import { Flights } from '../../../src/fetch/flight/flights.ts'
import { LocalContentLookup } from '../../../src/fetch/local-content.ts'
import { Deferred } from '../../../src/lib/async/deferred.ts'
import { Tracker, type TrackerOptions } from '../../../src/peers/tracker/tracker.ts'
import type { Contact, Instruction } from '../../../src/peers/wire/protocol/messages.ts'
import { digestOf } from '../../../testkit/memory/digests.ts'
import { knownNamesOf } from '../../../testkit/memory/known-names.ts'
import { MemoryStore } from '../../../testkit/memory/memory-store.ts'
import { memberId } from './model-swarm.ts'

const contactOf = (digit: string): Contact => ({
  id: memberId(digit.repeat(32)),
  name: 'node',
  host: '127.0.0.1',
  port: 1,
  fingerprint: digit.repeat(64),
})

/** A tracker whose local node has no content and no upstream. */
function startTracker(t: TestContext, options: Partial<TrackerOptions> = {}) {
  const store = new MemoryStore()
  const flights = new Flights({
    store,
    sources: () => [],
    policy: DEFAULT_FLIGHT_POLICY,
    confirm: async () => {},
    describe: async () => ({ mediaType: undefined, references: [], subject: undefined }),
    limit: 0,
  })
  const tracker = new Tracker({
    self: { contact: contactOf('0'), zone: undefined },
    localContent: new LocalContentLookup(store, flights, knownNamesOf(store)),
    isMember: () => true,
    findSeeders: async () => [],
    ...options,
  })
  t.after(async () => {
    tracker.close()
    await flights.stop()
  })
  const repository = { registry: 'up.test', name: 'app' }
  const want = { digest: digestOf(randomBytes(8)), kind: 'blob' as const, repository }
  return {
    join: async (contact: Contact) => {
      const instructions: Instruction[] = []
      const ended = new Deferred<void>()
      const session = await tracker.join(
        want,
        { contact, zone: undefined, position: 0 },
        { onInstruction: (instruction) => void instructions.push(instruction), onEnded: ended.resolve },
      )
      return { instructions, session, ended: ended.promise }
    },
  }
}

for (const isMember of [true, false]) {
  test(`a seeder that has left its session is ${isMember ? 'still' : 'no longer'} a parent when it is ${isMember ? '' : 'not '}a member`, async (t) => {
    const { join } = startTracker(t, { isMember: () => isMember })
    const [seeder, child] = [contactOf('1'), contactOf('2')]
    const { session } = await join(seeder)
    session.report({ is: 'whole' })
    session.leave()
    const { instructions } = await join(child)
    const parents = instructions.flatMap((one) => (one.is === 'take' ? [one.parent.id] : []))
    assert.deepEqual(parents, isMember ? [seeder.id] : [])
  })
}

test('a second session of a participant ends the first one, which then has no effect', async (t) => {
  const { join } = startTracker(t)
  const first = await join(contactOf('1'))
  const second = await join(contactOf('1'))
  await first.ended
  first.session.report({ is: 'failed' })
  first.session.leave()
  assert.deepEqual(second.instructions, [{ is: 'fetch' }])
  second.session.report({ is: 'failed' })
  await second.ended
  assert.deepEqual(second.instructions.at(-1), { is: 'end' })
})

test('the session of a silent participant is ended, but not by the first tick after a stall of the process', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] })
  let nowMs = 0
  const tick = (): void => t.mock.timers.tick(250)
  const { join } = startTracker(t, { now: () => nowMs })
  const [silent, alive] = [await join(contactOf('1')), await join(contactOf('2'))]
  const ended: string[] = []
  void silent.ended.then(() => ended.push('silent'))
  void alive.ended.then(() => ended.push('alive'))
  tick()
  nowMs += 10_000
  tick()
  // Only now the process reads what it received during the stall.
  alive.session.report({ is: 'at', position: 0 })
  tick()
  await silent.ended
  assert.deepEqual(ended, ['silent'])
})
