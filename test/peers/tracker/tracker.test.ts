import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { DEFAULT_FLIGHT_POLICY } from '../../../src/fetch/flight/flight.ts'
import { Flights } from '../../../src/fetch/flight/flights.ts'
import { LocalContentLookup } from '../../../src/fetch/local-content.ts'
import { Tracker } from '../../../src/peers/tracker/tracker.ts'
import type { Contact, Guidance } from '../../../src/peers/wire/messages.ts'
import { belongingOf } from '../../../testkit/memory/belonging.ts'
import { digestOf, MemoryStore } from '../../../testkit/memory/memory-store.ts'
import { memberId } from './model-swarm.ts'

const contactOf = (digit: string): Contact => ({
  id: memberId(digit.repeat(32)),
  name: 'node',
  host: '127.0.0.1',
  port: 1,
  fingerprint: digit.repeat(64),
})

for (const isMember of [true, false]) {
  test(`a seeder that has left its session is ${isMember ? 'still' : 'no longer'} a parent when it is ${isMember ? '' : 'not '}a member`, async (t) => {
    const store = new MemoryStore()
    const flights = new Flights({
      store,
      sources: () => [],
      policy: DEFAULT_FLIGHT_POLICY,
      confirm: async () => {},
      describe: async () => ({ mediaType: undefined, references: [], subject: undefined }),
      limit: 0,
    })
    const [self, seeder, child] = ['0', '1', '2'].map(contactOf) as [Contact, Contact, Contact]
    const tracker = new Tracker({
      self: { contact: self, zone: undefined },
      holdings: new LocalContentLookup(store, flights, belongingOf(store)),
      isSeated: () => false,
      isMember: () => isMember,
      loadOf: () => 0,
      findSeeders: async () => [],
    })
    t.after(async () => {
      tracker.close()
      await flights.stop()
    })
    const repository = { registry: 'up.test', name: 'app' }
    const want = { digest: digestOf(randomBytes(8)), kind: 'blob' as const, repository }
    const join = async (contact: Contact) => {
      const instructions: Guidance[] = []
      const session = await tracker.join(
        want,
        { contact, zone: undefined, position: 0, from: undefined },
        { onInstruction: (instruction) => void instructions.push(instruction), onEnded: () => {} },
      )
      return { instructions, session }
    }
    const { session } = await join(seeder)
    session.report({ is: 'whole' })
    session.leave()
    const { instructions } = await join(child)
    const parents = instructions.flatMap((one) => (one.is === 'take' ? [one.parent.id] : []))
    assert.deepEqual(parents, isMember ? [seeder.id] : [])
  })
}
