import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { encodeMessage, type Message, NOTHING, parseMessage } from '../../src/peers/gossip-messages.ts'
import { memberOf } from './simulation.ts'

const ann = memberOf('ann', 1)
const sign = { id: ann.id, incarnation: 1, beat: 2 }

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
    records: [[ann, 3]],
    beats: [sign],
    doubts: [sign],
    goodbyes: [sign],
    wanted: [ann.id],
    words: [word],
    digest: [1, 2, 3],
    summary: { from: '', to: 'g', signs: [sign] },
  }
  assert.deepEqual(parseMessage(encodeMessage(said)), said)
  assert.deepEqual(parseMessage(encodeMessage(NOTHING)), NOTHING)
  const withoutZone = { ...ann, zone: undefined }
  assert.deepEqual(
    parseMessage(encodeMessage({ ...NOTHING, records: [[withoutZone, 0]] }))?.records[0]?.[0],
    withoutZone,
  )
})

test('a record and a sign tell of a load; where it is left out it is none', () => {
  const busy = { ...sign, load: 16 }
  const said: Message = { ...NOTHING, records: [[{ ...ann, load: 16 }, 3]], beats: [busy, sign] }
  assert.deepEqual(parseMessage(encodeMessage(said)), said)
  const { load: _, ...older } = ann
  assert.deepEqual(parsed({ records: [[older, 3]] })?.records, [[ann, 3]])
  assert.deepEqual(parsed({ beats: [[ann.id, 1, 2, 0]] })?.beats, [sign])
  for (const load of [-1, 1.5, 2 ** 17, '8', null]) {
    assert.equal(parsed({ records: [[{ ...ann, load }, 3]] }), undefined)
    assert.equal(parsed({ beats: [[ann.id, 1, 2, load]] }), undefined)
  }
})

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
  assert.ok(parsed({ records: [[ann, 0]] }))
  for (const wrong of [
    { id: 'AB'.repeat(16) },
    { id: `${ann.id}0` },
    { incarnation: -1 },
    { incarnation: 1.5 },
    { incarnation: 2 ** 53 },
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
    assert.equal(parsed({ records: [[{ ...ann, ...wrong }, 0]] }), undefined, JSON.stringify(wrong))
  }
})

test('lists that are too long, and messages that are too large, are refused', () => {
  const tuple = [ann.id, 1, 2]
  assert.ok(parsed({ beats: Array(400).fill(tuple) }))
  assert.equal(parsed({ beats: Array(401).fill(tuple) }), undefined)
  assert.equal(parsed({ records: Array(21).fill([ann, 0]) }), undefined)
  assert.equal(parsed({ wanted: Array(401).fill(ann.id) }), undefined)
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
  const records = encodeMessage({ ...NOTHING, records: Array(20).fill([largest, 2 ** 52]) })
  assert.ok(parseMessage(records))
  const most = { id: ann.id, incarnation: 2 ** 52, beat: 2 ** 52 }
  assert.ok(parseMessage(encodeMessage({ ...NOTHING, beats: Array(400).fill(most) })))
  assert.ok(
    parseMessage(
      encodeMessage({ ...NOTHING, doubts: Array(400).fill(most), goodbyes: Array(400).fill(most) }),
    ),
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
