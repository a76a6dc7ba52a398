import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Crowd, named, PIECE } from './support/crowd.ts'

const NAMES = Array.from({ length: 12 }, (_, at) => `${at}`)
const name = fc.constantFrom(...NAMES)
const pieces = fc.nat({ max: 64 })

/** Plain, so that a counterexample can be read. */
const joining = fc.record({
  do: fc.constant('join' as const),
  who: name,
  pieces,
  zone: fc.constantFrom('a', 'b', undefined),
  whole: fc.nat({ max: 9 }).map((drawn) => drawn === 0),
  from: fc.option(fc.oneof(name, fc.constant('upstream')), { nil: undefined }),
  best: fc.constantFrom(undefined, 1000, 1e12),
  hasFailed: fc.nat({ max: 9 }).map((drawn) => drawn === 0),
})
const step = fc.oneof(
  joining,
  joining,
  fc.record({ do: fc.constant('leave' as const), who: name }),
  fc.record({ do: fc.constant('live' as const), rounds: fc.integer({ min: 1, max: 30 }) }),
  fc.record({ do: fc.constant('pass' as const), ms: fc.integer({ min: 0, max: 20_000 }) }),
  fc.record({ do: fc.constantFrom('lost' as const, 'blamed' as const), who: name, parent: name }),
  fc.record({ do: fc.constantFrom('failed' as const, 'whole' as const), who: name }),
  fc.record({ do: fc.constant('stray' as const), who: name, pieces }),
  fc.record({ do: fc.constant('slow' as const), who: name, brings: fc.constantFrom(0.5, 2, 100) }),
)
type Step = typeof step extends fc.Arbitrary<infer Kind> ? Kind : never

function take(crowd: Crowd, one: Step): void {
  if (one.do === 'pass') crowd.tick(one.ms)
  else if (one.do === 'live') for (let at = 0; at < one.rounds; at += 1) crowd.live(1 + (at % 5))
  else if (one.do === 'join') {
    const { who, pieces: has, zone, whole, from, best, hasFailed } = one
    crowd.join(who, {
      position: has * PIECE,
      whole,
      hasFailed,
      ...(zone === undefined ? {} : { zone }),
      ...(best === undefined ? {} : { best }),
      ...(from === undefined ? {} : { from: from === 'upstream' ? from : named(from) }),
    })
  } else {
    const id = named(one.who)
    const member = crowd.members.get(id)
    if (one.do === 'leave') crowd.leave(one.who)
    else if (one.do === 'stray' && member === undefined)
      crowd.tell({ is: 'at', id, position: one.pieces * PIECE })
    if (member === undefined) return
    if (one.do === 'slow') member.brings = one.brings
    if (one.do === 'lost' || one.do === 'blamed') crowd.tell({ is: one.do, id, parent: named(one.parent) })
    if (one.do === 'failed' && !member.isWhole) {
      member.doing = undefined
      crowd.tell({ is: 'failed', id })
    }
    if (one.do === 'whole') {
      Object.assign(member, { isWhole: true, position: crowd.size })
      crowd.tell({ is: 'whole', id })
    }
  }
}

const steps = fc.array(step, { maxLength: 40, size: 'max' })
const size = fc.constantFrom(64 * PIECE, 640 * PIECE)
const options = fc.record({ size, sized: fc.boolean(), takeover: fc.boolean() })
const begin = fc.record({ options, isSlow: fc.boolean() })
type Begin = typeof begin extends fc.Arbitrary<infer Kind> ? Kind : never

/** Where it is slow, the one that brings it will soon be told to leave that to another. */
function begun({ options, isSlow }: Begin): Crowd {
  const crowd = new Crowd(options)
  if (!isSlow) return crowd
  for (const who of ['0', '1', '2']) crowd.join(who, { best: who === '0' ? 1000 : 1e12 })
  for (let at = 0; at < 12; at += 1) crowd.live(1)
  return crowd
}

test('whatever happens in whatever order: one head, nobody follows itself, no orders to who is not there', () => {
  fc.assert(
    fc.property(begin, steps, (at, all) => {
      const crowd = begun(at)
      for (const one of all) take(crowd, one)
    }),
    { numRuns: 1500 },
  )
})

test('whatever happened, everybody who is still there ends whole', () => {
  fc.assert(
    fc.property(begin, steps, (at, all) => {
      const crowd = begun(at)
      for (const one of all) take(crowd, one)
      // Upstream is well, or those who were failed by it would be told that it is the end.
      crowd.join('honest')
      crowd.untilWhole(2000)
      assert.ok(crowd.members.get(named('honest'))?.isWhole || crowd.ended.size > 0)
    }),
    { numRuns: 700 },
  )
})

test('no event makes a storm of orders', () => {
  fc.assert(
    fc.property(steps, (all) => {
      const crowd = new Crowd()
      for (const one of all) {
        take(crowd, one)
        for (const who of NAMES) assert.deepEqual(crowd.tell({ is: 'at', id: named(who), position: 0 }), [])
      }
    }),
    { numRuns: 300 },
  )
  const crowd = new Crowd({ size: 1000 * PIECE })
  for (let at = 0; at < 400; at += 1) assert.ok(crowd.join(`${at}`).length <= 2)
  crowd.live()
  for (let at = 0; at < 400; at += 3) assert.ok(crowd.leave(`${at}`).length <= 9)
  for (let at = 0; at < 20; at += 1) crowd.live()
  const before = crowd.orders.length
  for (let at = 0; at < 20; at += 1) crowd.live()
  assert.equal(crowd.orders.length, before, 'nothing happens, and yet there are orders')
})
