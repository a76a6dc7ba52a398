import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { DEFAULT_POLICY } from '../../src/fetch/flight/flight.ts'
import { Flights } from '../../src/fetch/flight/flights.ts'
import { Held } from '../../src/fetch/local-content.ts'
import { Hosting } from '../../src/peers/tracker/tracker.ts'
import { Parties } from '../../src/peers/tracker/tree/participants.ts'
import { Suspicions } from '../../src/peers/tracker/tree/reputation.ts'
import { type Contact, type Guidance, News, parse, TakeAnswer } from '../../src/peers/wire/messages.ts'
import { belongingOf } from '../../testkit/memory/belonging.ts'
import { digestOf, MemoryStore } from '../../testkit/memory/memory-store.ts'
import { named } from './support/crowd.ts'

const parties = () => new Parties({ digest: 'sha256:1', self: named('0'), now: () => 0 })

test('who has left is remembered for what there is against it, but not all who ever came', () => {
  const all = parties()
  const comeAndGo = (name: string, isBlamed: boolean): void => {
    const party = all.add(named(name), 0)
    if (isBlamed) party.suspicions.blame(named('witness'), true)
    all.remove(party)
  }
  comeAndGo('first', true)
  for (let at = 0; at < 5000; at += 1) comeAndGo(`clean ${at}`, false)
  assert.equal(all.add(named('first'), 0).suspicions.isOutcast, true)
  assert.equal(all.remembered, 0)
  for (let at = 0; at < 5000; at += 1) comeAndGo(`liar ${at}`, true)
  assert.ok(all.remembered <= 256, `${all.remembered}`)
  assert.equal(all.add(named('liar 4999'), 0).suspicions.isOutcast, true)
})

test('however many lose a parent, only the latest are known one by one', () => {
  const suspicions = new Suspicions()
  for (let at = 0; at < 5000; at += 1) suspicions.lose(named(`${at}`), 0)
  assert.ok(suspicions.size <= 64, `${suspicions.size}`)
  suspicions.clear(named('4998'))
  assert.equal(suspicions.areHeldBy(named('4998'), 0), false)
  assert.equal(suspicions.areHeldBy(named('4999'), 0), true)
})

test('why somebody refuses is shown without what a terminal would obey', () => {
  const said = { is: 'refused', code: 'absent', message: 'no\u001b[2J\r\nFAKE line\u202e, \u009bgone' }
  const answer = parse(TakeAnswer, said, 'node')
  assert.deepEqual(answer, { is: 'refused', code: 'absent', message: 'no [2J FAKE line ,  gone' })
  assert.throws(() => parse(News, said, 'node'))
})

const contactOf = (digit: string): Contact => ({
  id: named(digit.repeat(32)),
  name: 'node',
  host: '127.0.0.1',
  port: 1,
  fingerprint: digit.repeat(64),
})

for (const isKnown of [true, false]) {
  test(`who has it all and has left the table is ${isKnown ? '' : 'not '}given to others when membership ${isKnown ? 'knows it' : 'does not'}`, async (t) => {
    const store = new MemoryStore()
    const flights = new Flights({
      store,
      sources: () => [],
      policy: DEFAULT_POLICY,
      confirm: async () => {},
      describe: async () => ({ mediaType: undefined, references: [], subject: undefined }),
      limit: 0,
    })
    const [self, holder, comer] = ['0', '1', '2'].map(contactOf) as [Contact, Contact, Contact]
    const hosting = new Hosting({
      self: { contact: self, zone: undefined },
      holdings: new Held(store, flights, belongingOf(store)),
      isSeated: () => false,
      isMember: () => isKnown,
      loadOf: () => 0,
      holders: async () => [],
    })
    t.after(async () => {
      hosting.close()
      await flights.stop()
    })
    const repository = { registry: 'up.test', name: 'app' }
    const want = { digest: digestOf(randomBytes(8)), kind: 'blob' as const, repository }
    const sit = async (contact: Contact) => {
      const told: Guidance[] = []
      const coming = { contact, zone: undefined, position: 0, from: undefined }
      const guest = { guided: (guidance: Guidance) => void told.push(guidance), abandoned: () => {} }
      return { told, place: await hosting.sit(want, coming, guest) }
    }
    const { place } = await sit(holder)
    place.tell({ is: 'whole' })
    place.leave()
    const { told } = await sit(comer)
    const parents = told.flatMap((one) => (one.is === 'take' ? [one.parent.id] : []))
    assert.deepEqual(parents, isKnown ? [holder.id] : [])
  })
}
