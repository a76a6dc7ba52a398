import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Signer } from '../../../../src/peers/identity/signed-record.ts'
import { EMPTY_MESSAGE, type GossipMessage } from '../../../../src/peers/membership/gossip/gossip-messages.ts'
import { encodeMessage, parseMessage } from '../../../../src/peers/membership/gossip/message-format.ts'
import type { PseudonymousNotice } from '../../../../src/peers/membership/gossip/rate-limit-notices.ts'
import { MemberList } from '../../../../src/peers/membership/members/member-list.ts'
import { fc, runs } from '../../../../testkit/property-runs.ts'
import { identityNamed, memberOf, recordOf } from '../../../../testkit/simulation/gossip/named-members.ts'

const ann = memberOf('ann', 1)
const { record, heartbeat } = recordOf('ann', ann, 2)
const { key, signature } = record
const unsigned = { id: ann.id, incarnation: 1, sequence: 2 }

const notice: PseudonymousNotice = {
  pseudonym: 'ab'.repeat(16),
  host: 'registry-1.docker.io',
  closedMs: 1000,
}

/** The notice as it is written on the wire. */
const { pseudonym, ...wireFields } = notice
const wireNotice = { who: pseudonym, ...wireFields, ageMs: 0 }

function parsed(value: unknown): GossipMessage | undefined {
  return parseMessage(Buffer.from(JSON.stringify(value)))
}

test('an encoded message is parsed back to the same message', () => {
  const message: GossipMessage = {
    records: [{ record, heartbeat }],
    heartbeats: [heartbeat],
    suspects: [heartbeat],
    goodbyes: [heartbeat],
    wanted: [ann.id],
    notices: [notice],
    checksum: [1, 2, 3],
    summary: { from: '', to: 'g', heartbeats: [unsigned] },
  }
  assert.deepEqual(parseMessage(encodeMessage(message)), message)
  assert.deepEqual(parseMessage(encodeMessage(EMPTY_MESSAGE)), EMPTY_MESSAGE)
  const withoutZone = recordOf('ann', { ...ann, zone: undefined })
  assert.deepEqual(parseMessage(encodeMessage({ ...EMPTY_MESSAGE, records: [withoutZone] }))?.records, [
    withoutZone,
  ])
})

test('the load in heartbeats of older agents is passed on, since the signature covers it', () => {
  const busy = new Signer(identityNamed('ann')).signHeartbeat('alive', { ...unsigned, load: 16 })
  const message: GossipMessage = {
    ...EMPTY_MESSAGE,
    records: [{ record, heartbeat: busy }],
    heartbeats: [busy, heartbeat],
  }
  const received = parseMessage(encodeMessage(message))
  assert.deepEqual(received, message)
  const members = new MemberList()
  assert.equal(
    members.addRecord({ record, heartbeat: received?.heartbeats[0] ?? heartbeat }, 0),
    'new-incarnation',
  )
  assert.deepEqual(parsed({ beats: [[ann.id, 1, 2, heartbeat.signature, 0]] })?.heartbeats, [heartbeat])
  for (const load of [-1, 1.5, 2 ** 17, '8', null]) {
    assert.equal(parsed({ records: [[...recordTuple(ann), load]] }), undefined)
    assert.equal(parsed({ beats: [[ann.id, 1, 2, heartbeat.signature, load]] }), undefined)
  }
})

/** A record as it is written on the wire, whose statement may be invalid. */
function recordTuple(stated: object, sequence: number = 2): unknown[] {
  return [key, signature, JSON.stringify(stated), sequence, heartbeat.signature]
}

test('notices are understood by older agents, which expect an age, and theirs with a quota are understood', () => {
  const encoded = JSON.parse(encodeMessage({ ...EMPTY_MESSAGE, notices: [notice] }).toString())
  assert.deepEqual(encoded, { words: [wireNotice] })
  const older = { ...wireNotice, ageMs: 500, quota: { limit: 100, remaining: 7, windowSeconds: 21_600 } }
  assert.deepEqual(parsed({ words: [older] })?.notices, [notice])
})

test('a rate-limit notice with a field that is missing, too large or of a wrong type is refused', () => {
  for (const wrong of [
    { who: 'ab' },
    { who: 'AB'.repeat(16) },
    { host: 'two words' },
    { host: 'x'.repeat(256) },
    { closedMs: 10 * 60_000 + 1 },
    { closedMs: -1 },
    { closedMs: undefined },
  ]) {
    assert.equal(parsed({ words: [{ ...wireNotice, ...wrong }] }), undefined, JSON.stringify(wrong))
  }
  assert.equal(parsed({ words: Array(5).fill(wireNotice) }), undefined)
})

test('a record with a field that is missing, too large or of a wrong type is refused', () => {
  assert.ok(parsed({ records: [recordTuple(ann)] }))
  for (const wrong of [
    { incarnation: -1 },
    { incarnation: 1.5 },
    { incarnation: 2 ** 48 + 1 },
    { incarnation: '1' },
    { name: 'n'.repeat(256) },
    { name: 'two\nlines' },
    { host: '' },
    { host: 'a/b' },
    { host: 'h'.repeat(256) },
    { port: 0 },
    { port: 65_536 },
    { fingerprint: 'ab' },
    { zone: 'z'.repeat(256) },
    { zone: null },
    { version: 'v'.repeat(65) },
    { version: '\u001b[31m' },
    { protocol: undefined },
  ]) {
    assert.equal(parsed({ records: [recordTuple({ ...ann, ...wrong })] }), undefined, JSON.stringify(wrong))
  }
  assert.equal(parsed({ records: [recordTuple(ann, -1)] }), undefined)
  for (const at of [0, 1, 2, 4]) {
    for (const wrong of ['', 'a'.repeat(85), `${'a'.repeat(85)}=`, null]) {
      assert.equal(parsed({ records: [recordTuple(ann).with(at, wrong)] }), undefined, `${at}: ${wrong}`)
    }
  }
  assert.equal(parsed({ beats: [[ann.id, 2 ** 48 + 1, 2, heartbeat.signature]] }), undefined)
  assert.equal(parsed({ beats: [[ann.id, 1, 2]] }), undefined)
})

test('a field that only a later version knows is passed on as it was signed', () => {
  const statement = JSON.stringify({ ...ann, colour: 'blue' })
  const [parsedRecord] =
    parsed({ records: [[key, signature, statement, 2, heartbeat.signature]] })?.records ?? []
  assert.deepEqual(parsedRecord?.record, { ...record, statement })
})

test('messages that are too large, or contain lists that are too long, are refused', () => {
  const tuple = [ann.id, 1, 2, heartbeat.signature]
  assert.ok(parsed({ beats: Array(300).fill(tuple) }))
  assert.equal(parsed({ beats: Array(301).fill(tuple) }), undefined)
  assert.equal(parsed({ records: Array(21).fill(recordTuple(ann)) }), undefined)
  assert.equal(parsed({ wanted: Array(301).fill(ann.id) }), undefined)
  assert.equal(parsed({ records: [recordTuple({ ...ann, colour: 'b'.repeat(2560) })] }), undefined)
  assert.ok(parseMessage(Buffer.from(`{}${' '.repeat(65_534)}`)))
  assert.equal(parseMessage(Buffer.from(`{}${' '.repeat(65_535)}`)), undefined)
})

test('the largest messages that an agent sends are below the limit', () => {
  const largest = {
    ...ann,
    name: 'ż'.repeat(255),
    host: 'h'.repeat(255),
    zone: '界'.repeat(255),
    version: '界'.repeat(64),
  }
  const largestRecord = recordOf('ann', { ...largest, incarnation: 2 ** 48 }, 2 ** 52)
  const records = encodeMessage({ ...EMPTY_MESSAGE, records: Array(20).fill(largestRecord) })
  assert.ok(parseMessage(records))
  const largestHeartbeat = { ...largestRecord.heartbeat }
  assert.ok(parseMessage(encodeMessage({ ...EMPTY_MESSAGE, heartbeats: Array(300).fill(largestHeartbeat) })))
  assert.ok(
    parseMessage(
      encodeMessage({
        ...EMPTY_MESSAGE,
        summary: { from: '', to: 'g', heartbeats: Array(300).fill(largestHeartbeat) },
      }),
    ),
  )
})

test('parsing any other bytes does not throw', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.uint8Array(),
        fc.json().map((text) => Buffer.from(text)),
      ),
      (bytes) => {
        const message = parseMessage(bytes)
        if (message !== undefined) assert.deepEqual(parseMessage(encodeMessage(message)), message)
      },
    ),
    runs(2000),
  )
})
