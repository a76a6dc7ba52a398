import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DeclaredHead } from '../../../../src/fetch/flight/bytes/declared-head.ts'
import { SizeContradiction } from '../../../../src/fetch/flight/bytes/dispute-errors.ts'
import { peer, upstream } from '../../support/peers.ts'

const TEXT = 'text/plain'

test('the size is the word of upstream once upstream has said it, whoever said it before or after', () => {
  const [one, registry] = [peer('one'), upstream()]
  const declared = new DeclaredHead()
  declared.take(one, { size: 10, mediaType: undefined }, 0)
  assert.equal(declared.isSizeFromPeer, true)
  declared.take(registry, { size: 10, mediaType: TEXT }, 0)
  declared.take(one, { size: 10, mediaType: 'other' }, 0)
  assert.equal(declared.sizeSource, registry)
  assert.deepEqual([declared.isSizeFromPeer, declared.isSizeFromUpstream], [false, true])
  assert.deepEqual([declared.size, declared.mediaType], [10, TEXT])
})

test('a source that says no size changes only the type', () => {
  const declared = new DeclaredHead()
  declared.take(upstream(), { size: undefined, mediaType: TEXT }, 0)
  assert.deepEqual([declared.size, declared.mediaType, declared.sizeSource], [undefined, TEXT, undefined])
})

test('a size that contradicts an earlier source or the bytes is refused', () => {
  const declared = new DeclaredHead()
  assert.throws(() => declared.take(upstream(), { size: 9, mediaType: undefined }, 10), SizeContradiction)
  declared.take(upstream(), { size: 20, mediaType: undefined }, 10)
  assert.throws(() => declared.take(upstream(), { size: 21, mediaType: undefined }, 10), SizeContradiction)
  declared.forget()
  declared.take(upstream(), { size: 21, mediaType: undefined }, 0)
  assert.equal(declared.size, 21)
})
