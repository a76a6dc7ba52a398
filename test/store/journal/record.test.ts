import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encodeRecord, type JournalRecord, parseRecord } from '../../../src/store/journal/record.ts'
import { digestOf } from '../../../testkit/memory/digests.ts'
import { fc, runs } from '../../../testkit/property-runs.ts'

const repository = { registry: 'localhost', name: 'team/app' }
const digest = digestOf(Buffer.from('a'))

test('what is written as a line is read from it', () => {
  const mediaType = fc.option(fc.string({ minLength: 1 }), { nil: undefined })
  const record: fc.Arbitrary<JournalRecord> = fc.oneof(
    fc.record({
      do: fc.constant('link' as const),
      repository: fc.constant(repository),
      digest: fc.constant(digest),
      kind: fc.constantFrom('manifest' as const, 'blob' as const),
      mediaType,
      bytes: fc.option(fc.uint8Array(), { nil: undefined }),
    }),
    fc.record({
      do: fc.constant('tag' as const),
      repository: fc.constant(repository),
      digest: fc.constant(digest),
      tag: fc.stringMatching(/^\w{1,128}$/),
      mediaType,
      pushedAt: fc.nat(),
    }),
    fc.constantFrom(
      { do: 'unlink', repository, digest, at: 1 } as const,
      { do: 'untag', repository, tag: 'v1', at: 1 } as const,
    ),
  )
  fc.assert(
    fc.property(record, (given) => {
      const line = encodeRecord(given)
      assert.equal(line.indexOf('\n'), line.length - 1)
      const read = parseRecord(line)
      assert.deepEqual(JSON.parse(encodeRecord(read ?? assert.fail())), JSON.parse(line))
      assert.equal(parseRecord(line.slice(0, -2)), undefined)
    }),
    runs(200),
  )
})

test('a line that is no record is none', () => {
  const link = { do: 'link', repository: 'localhost/team/app', digest, kind: 'blob' }
  assert.ok(parseRecord(JSON.stringify(link)))
  for (const wrong of [
    '',
    'x',
    '{}',
    { ...link, digest: 'sha256:1' },
    { ...link, repository: '' },
    { ...link, kind: 'tag' },
  ])
    assert.equal(parseRecord(typeof wrong === 'string' ? wrong : JSON.stringify(wrong)), undefined)
})
