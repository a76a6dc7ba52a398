import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Excused } from '../../src/peers/tracker/stragglers/excused.ts'
import { Crowd, named, PIECE } from './support/crowd.ts'

const PIECES = 2000
/** Pieces in a quarter of a second, as bytes in a second. */
const bytes = (pieces: number): number => pieces * 4 * PIECE

interface Link {
  /** Pieces in a quarter of a second. */
  readonly most: number
  /** What it says of that; as it is, when it says anything. */
  readonly tells?: number | undefined
}

/** `0` brings it, `1` takes from `0`, and so on. */
function crowdOf(links: readonly Link[], excused?: Excused): Crowd {
  const crowd = new Crowd({ size: PIECES * PIECE, ...(excused ? { excused } : {}) })
  for (const [at, link] of links.entries()) {
    const { most, tells } = 'tells' in link ? link : { most: link.most, tells: link.most }
    crowd.join(`${at}`, tells === undefined ? {} : { best: bytes(tells) })
    const member = crowd.members.get(named(`${at}`)) ?? assert.fail()
    member.most = most
    member.gives = most
  }
  return crowd
}

/** `upstream`: what it gives to anybody, in pieces in a quarter of a second. */
function live(crowd: Crowd, seconds: number, upstream: number): void {
  for (let at = 0; at < 4 * seconds; at += 1) crowd.live(upstream)
}

const heads = (crowd: Crowd): string[] =>
  crowd.orders.filter((order) => order.do === 'fetch').map(({ to }) => to)

const SLOW: Link = { most: 4 }
const FAST: Link = { most: 32 }

test('a head whose link is full gives way to one that has received much more, and comes last', () => {
  const crowd = crowdOf([SLOW, FAST, FAST, FAST])
  live(crowd, 3, 40)
  assert.deepEqual(heads(crowd), ['0', '1'])
  assert.equal(crowd.gathering.parentOf(named('0')), '3')
  const rounds = crowd.untilWhole()
  assert.ok(rounds < PIECES / SLOW.most, `${rounds}`)
  assert.ok(crowd.brought < crowd.size + 10 * PIECE, `${crowd.brought / crowd.size}`)
  assert.deepEqual(heads(crowd), ['0', '1'])
})

test('whoever behind it is the fastest, that one brings it next, for all others', () => {
  const crowd = crowdOf([SLOW, SLOW, { most: 10 }, FAST, SLOW])
  live(crowd, 7, 40)
  assert.deepEqual(heads(crowd), ['0', '3'])
  assert.equal(crowd.gathering.parentOf(named('2')), '3')
})

test('where upstream is what is slow, the head that there is brings it all', () => {
  for (const upstream of [1, 4, 16, 20]) {
    const crowd = crowdOf([FAST, FAST, { most: 32, tells: 200 }])
    live(crowd, 20, upstream)
    assert.deepEqual(heads(crowd), ['0'], `${upstream}`)
    crowd.untilWhole()
    assert.equal(crowd.brought, crowd.size)
  }
})

test('where nothing is known of the head, or of the others, it stays', () => {
  const silent: Link = { most: 4, tells: undefined }
  for (const links of [
    [silent, FAST, FAST],
    [SLOW, { most: 32, tells: undefined }, silent],
    [SLOW, { most: 32, tells: 7 }, SLOW],
  ]) {
    const crowd = crowdOf(links)
    live(crowd, 20, 40)
    assert.deepEqual(heads(crowd), ['0'])
  }
})

test('what will soon be here is left to it', () => {
  const crowd = crowdOf([SLOW, FAST, FAST])
  const size = 4 * SLOW.most * 7
  const small = new Crowd({ size: size * PIECE })
  for (const [at, { most }] of [SLOW, FAST, FAST].entries()) {
    small.join(`${at}`, { best: bytes(most) })
    const member = small.members.get(named(`${at}`)) ?? assert.fail()
    member.most = most
  }
  small.untilWhole()
  assert.deepEqual(heads(small), ['0'])
  live(crowd, 4, 40)
  assert.equal(heads(crowd).length, 2)
})

test('those behind it who take more slowly than it does are no reason', () => {
  const crowd = crowdOf([SLOW, { most: 1 }, { most: 1, tells: 32 }])
  live(crowd, 20, 40)
  assert.deepEqual(heads(crowd), ['0'])
})

test('one that is no faster than the head it follows stays, and that one is excused from then on', () => {
  const excused = new Excused()
  const crowd = crowdOf([SLOW, { most: 4, tells: 32 }, { most: 4, tells: 16 }], excused)
  live(crowd, 7, 40)
  assert.equal(heads(crowd)[1], '1')
  crowd.untilWhole()
  assert.ok(heads(crowd).length <= 3, `${heads(crowd)}`)
  const next = crowdOf([SLOW, FAST, FAST], excused)
  live(next, 20, 40)
  assert.deepEqual(heads(next), ['0'])
})

test('one that is slower than the head it follows gives way to it again, and is not believed again', () => {
  const liar: Link = { most: 0.5, tells: 1000 }
  const crowd = crowdOf([SLOW, { most: 32, tells: 2 }, { most: 32, tells: 2 }])
  crowd.join('liar', { best: bytes(1000) })
  const member = crowd.members.get(named('liar')) ?? assert.fail()
  live(crowd, 3, 40)
  assert.deepEqual(heads(crowd), ['0', 'liar'])
  Object.assign(member, { most: liar.most, gives: liar.most })
  live(crowd, 4, 40)
  assert.deepEqual(heads(crowd), ['0', 'liar', '0'])
  crowd.leave('liar')
  crowd.join('liar', { best: bytes(1000) })
  live(crowd, 20, 40)
  assert.deepEqual(heads(crowd), ['0', 'liar', '0'])
})

test('however many lie, that is soon over', () => {
  const crowd = crowdOf([SLOW, SLOW, SLOW, ...Array.from({ length: 9 }, () => ({ most: 4, tells: 1000 }))])
  for (let at = 3; at < 12; at += 1) {
    const member = crowd.members.get(named(`${at}`)) ?? assert.fail()
    // It takes as fast as all do, but brings next to nothing.
    member.brings = 0.1
  }
  const rounds = crowd.untilWhole()
  assert.equal(heads(crowd).length, 5)
  assert.ok(rounds < PIECES / SLOW.most + 4 * 2 * 4 + 40, `${rounds}`)
})

test('one that upstream fails is left for the head before it', () => {
  const crowd = crowdOf([SLOW, FAST])
  live(crowd, 3, 40)
  crowd.tell({ is: 'failed', id: named('1') })
  assert.deepEqual(heads(crowd), ['0', '1', '0'])
  live(crowd, 20, 40)
  assert.deepEqual(heads(crowd), ['0', '1', '0'])
})
