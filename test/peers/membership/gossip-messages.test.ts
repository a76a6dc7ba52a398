import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  encodeMessage,
  type Message,
  NOTHING,
  parseMessage,
} from '../../../src/peers/membership/gossip-messages.ts'
import { accountOf, memberOf } from '../../../testkit/simulation/gossip-simulation.ts'

const ann = memberOf('ann', 1)
const { record, sign } = accountOf('ann', ann, 2)
const { key, signature } = record
const bare = { id: ann.id, incarnation: 1, sequence: 2 }

const word = {
  who: 'ab'.repeat(16),
  host: 'registry-1.docker.io',
  closedMs: 1000,
  quota: { limit: undefined, remaining: 7, windowSeconds: 21_600 },
  ageMs: 5,
}

function parsed(value: unknown): Message | undefined {
  return parseMessage(Buffer.from(JSON.stringify(value)))
}

test('what is said is understood', () => {
  const said: Message = {
    records: [{ record, sign }],
    beats: [sign],
    doubts: [sign],
    goodbyes: [sign],
    wanted: [ann.id],
    words: [word],
    digest: [1, 2, 3],
    summary: { from: '', to: 'g', signs: [bare] },
  }
  assert.deepEqual(parseMessage(encodeMessage(said)), said)
  assert.deepEqual(parseMessage(encodeMessage(NOTHING)), NOTHING)
  const withoutZone = accountOf('ann', { ...ann, zone: undefined })
  assert.deepEqual(parseMessage(encodeMessage({ ...NOTHING, records: [withoutZone] }))?.records, [
    withoutZone,
  ])
})

test('a record and a sign tell of a load; where it is left out it is none', () => {
  const busy = accountOf('ann', { ...ann, load: 16 }, 3)
  const said: Message = { ...NOTHING, records: [busy], beats: [busy.sign, sign] }
  assert.deepEqual(parseMessage(encodeMessage(said)), said)
  assert.deepEqual(parsed({ beats: [[ann.id, 1, 2, sign.signature, 0]] })?.beats, [sign])
  for (const load of [-1, 1.5, 2 ** 17, '8', null]) {
    assert.equal(parsed({ records: [[...told(ann), load]] }), undefined)
    assert.equal(parsed({ beats: [[ann.id, 1, 2, sign.signature, load]] }), undefined)
  }
})

/** A record as it is written, whether it is right or not. */
function told(stated: object, sequence: number = 2): unknown[] {
  return [key, signature, JSON.stringify(stated), sequence, sign.signature]
}

test('a word of a registry with a field that is missing, too large or of another kind is refused', () => {
  const { quota: _, ...told } = word
  assert.deepEqual(parsed({ words: [told] })?.words, [{ ...told, quota: undefined }])
  for (const wrong of [
    { who: 'ab' },
    { who: 'AB'.repeat(16) },
    { host: 'two words' },
    { host: 'x'.repeat(256) },
    { closedMs: 10 * 60_000 + 1 },
    { closedMs: -1 },
    { ageMs: 10 * 60_000 + 1 },
    { quota: {} },
    { quota: { remaining: -1 } },
    { quota: { remaining: 1, limit: 'many' } },
    { quota: null },
  ]) {
    assert.equal(parsed({ words: [{ ...word, ...wrong }] }), undefined, JSON.stringify(wrong))
  }
  assert.equal(parsed({ words: Array(5).fill(word) }), undefined)
})

test('a record with a field that is missing, too large or of another kind is refused', () => {
  assert.ok(parsed({ records: [told(ann)] }))
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
    assert.equal(parsed({ records: [told({ ...ann, ...wrong })] }), undefined, JSON.stringify(wrong))
  }
  assert.equal(parsed({ records: [told(ann, -1)] }), undefined)
  for (const at of [0, 1, 2, 4]) {
    for (const wrong of ['', 'a'.repeat(85), `${'a'.repeat(85)}=`, null]) {
      assert.equal(parsed({ records: [told(ann).with(at, wrong)] }), undefined, `${at}: ${wrong}`)
    }
  }
  assert.equal(parsed({ beats: [[ann.id, 2 ** 48 + 1, 2, sign.signature]] }), undefined)
  assert.equal(parsed({ beats: [[ann.id, 1, 2]] }), undefined)
})

test('what a later version states besides is kept as it was signed', () => {
  const statement = JSON.stringify({ ...ann, colour: 'blue' })
  const [heard] = parsed({ records: [[key, signature, statement, 2, sign.signature]] })?.records ?? []
  assert.deepEqual(heard?.record, { ...record, statement })
})

test('lists that are too long, and messages that are too large, are refused', () => {
  const tuple = [ann.id, 1, 2, sign.signature]
  assert.ok(parsed({ beats: Array(300).fill(tuple) }))
  assert.equal(parsed({ beats: Array(301).fill(tuple) }), undefined)
  assert.equal(parsed({ records: Array(21).fill(told(ann)) }), undefined)
  assert.equal(parsed({ wanted: Array(301).fill(ann.id) }), undefined)
  assert.equal(parsed({ records: [told({ ...ann, colour: 'b'.repeat(2560) })] }), undefined)
  assert.ok(parseMessage(Buffer.from(`{}${' '.repeat(65_534)}`)))
  assert.equal(parseMessage(Buffer.from(`{}${' '.repeat(65_535)}`)), undefined)
})

test('the largest message that an agent sends is below the limit', () => {
  const largest = {
    ...ann,
    name: 'ż'.repeat(255),
    host: 'h'.repeat(255),
    zone: '界'.repeat(255),
    version: '界'.repeat(64),
  }
  const account = accountOf('ann', { ...largest, incarnation: 2 ** 48, load: 2 ** 16 }, 2 ** 52)
  const records = encodeMessage({ ...NOTHING, records: Array(20).fill(account) })
  assert.ok(parseMessage(records))
  const most = { ...account.sign }
  assert.ok(parseMessage(encodeMessage({ ...NOTHING, beats: Array(300).fill(most) })))
  assert.ok(
    parseMessage(encodeMessage({ ...NOTHING, summary: { from: '', to: 'g', signs: Array(300).fill(most) } })),
  )
})

test('whatever else comes is refused, and never thrown at', () => {
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
    { numRuns: 2000 },
  )
})
