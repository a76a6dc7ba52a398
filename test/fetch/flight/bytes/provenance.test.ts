import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ByteSource, originText, Provenance } from '../../../../src/fetch/flight/bytes/provenance.ts'

const node = (number: number): ByteSource => ({ name: `node-${number}`, kind: 'peer' })
const registry: ByteSource = { name: 'registry.test', kind: 'upstream' }

test('bytes are from the source that was last said to bring them, and a source without bytes is no contributor', () => {
  const provenance = new Provenance()
  provenance.startFrom(0, { name: 'peers', kind: 'peer' })
  provenance.startFrom(0, node(1))
  provenance.startFrom(100, node(2))
  provenance.startFrom(100, registry)
  provenance.startFrom(160, node(1))
  assert.deepEqual(provenance.contributors(200), [node(1), registry])
  assert.deepEqual(provenance.contributors(160), [node(1), registry])
  assert.deepEqual(provenance.contributors(100), [node(1)])
  assert.deepEqual(provenance.last, node(1))
})

test('the main kind is that of the source that is asked while there are no bytes, and then the one with most bytes', () => {
  const provenance = new Provenance()
  assert.equal(provenance.mainSourceKind(0), undefined)
  provenance.startFrom(0, node(1))
  assert.equal(provenance.mainSourceKind(0), 'peer')
  provenance.startFrom(0, registry)
  assert.equal(provenance.mainSourceKind(0), 'upstream')
  provenance.startFrom(100, node(2))
  assert.equal(provenance.mainSourceKind(150), 'upstream')
  assert.equal(provenance.mainSourceKind(201), 'peer')
})

test('bytes that were taken back and bytes of an earlier run are not counted', () => {
  const provenance = new Provenance()
  provenance.startFrom(0, undefined)
  provenance.startFrom(1000, registry)
  provenance.startFrom(1100, node(1))
  assert.equal(provenance.mainSourceKind(1300), 'peer')
  provenance.truncate(1100)
  assert.deepEqual(provenance.contributors(1100), [registry])
  assert.equal(provenance.mainSourceKind(1100), 'upstream')
})

test('of very many stretches only the sums are remembered', () => {
  const provenance = new Provenance()
  for (let at = 0; at < 5000; at++) provenance.startFrom(at * 100, at % 3 === 0 ? node(at % 500) : registry)
  const contributors = provenance.contributors(500_000)
  assert.deepEqual(contributors.slice(0, 3), [node(0), registry, node(3)])
  assert.ok(contributors.length <= 400, `${contributors.length} are remembered`)
  assert.equal(provenance.mainSourceKind(500_000), 'upstream')
  provenance.truncate(0)
  assert.deepEqual(provenance.contributors(500_000), [])
})

test('an origin names four contributors at most', () => {
  assert.equal(originText([registry, node(1)]), 'upstream registry.test, peer node-1')
  assert.equal(
    originText([1, 2, 3, 4, 5, 6].map(node)),
    'peer node-1, peer node-2, peer node-3, peer node-4 and 2 more',
  )
})
