import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fc, runs } from '../../../testkit/property-runs.ts'
import { ModelSwarm, memberId, PIECE_BYTES } from './model-swarm.ts'

const NAMES = Array.from({ length: 12 }, (_, at) => `${at}`)
const name = fc.constantFrom(...NAMES)
const pieces = fc.nat({ max: 64 })

/** Steps are plain data, so that fast-check prints a readable counterexample. */
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
  fc.record({ do: fc.constant('run' as const), rounds: fc.integer({ min: 1, max: 30 }) }),
  fc.record({ do: fc.constant('wait' as const), ms: fc.integer({ min: 0, max: 20_000 }) }),
  fc.record({ do: fc.constantFrom('lost' as const, 'blamed' as const), who: name, parent: name }),
  fc.record({ do: fc.constantFrom('failed' as const, 'whole' as const), who: name }),
  fc.record({ do: fc.constant('stray' as const), who: name, pieces }),
  fc.record({ do: fc.constant('slow' as const), who: name, fetches: fc.constantFrom(0.5, 2, 100) }),
)
type Step = typeof step extends fc.Arbitrary<infer Kind> ? Kind : never

function apply(swarm: ModelSwarm, one: Step): void {
  if (one.do === 'wait') swarm.tick(one.ms)
  else if (one.do === 'run') for (let at = 0; at < one.rounds; at += 1) swarm.runRound(1 + (at % 5))
  else if (one.do === 'join') {
    const { who, pieces: has, zone, whole, from, best, hasFailed } = one
    swarm.join(who, {
      position: has * PIECE_BYTES,
      whole,
      hasFailed,
      ...(zone === undefined ? {} : { zone }),
      ...(best === undefined ? {} : { best }),
      ...(from === undefined ? {} : { from: from === 'upstream' ? from : memberId(from) }),
    })
  } else {
    const id = memberId(one.who)
    const member = swarm.members.get(id)
    if (one.do === 'leave') swarm.leave(one.who)
    else if (one.do === 'stray' && member === undefined)
      swarm.tell({ is: 'at', id, position: one.pieces * PIECE_BYTES })
    if (member === undefined) return
    if (one.do === 'slow') member.fetches = one.fetches
    if (one.do === 'lost' || one.do === 'blamed') swarm.tell({ is: one.do, id, parent: memberId(one.parent) })
    if (one.do === 'failed' && !member.isWhole) {
      member.instruction = undefined
      swarm.tell({ is: 'failed', id })
    }
    if (one.do === 'whole') {
      Object.assign(member, { isWhole: true, position: swarm.size })
      swarm.tell({ is: 'whole', id })
    }
  }
}

const steps = fc.array(step, { maxLength: 40, size: 'max' })
const size = fc.constantFrom(64 * PIECE_BYTES, 640 * PIECE_BYTES)
const options = fc.record({ size, isSizeKnown: fc.boolean(), isTakeover: fc.boolean() })
const start = fc.record({ options, isFetcherSlow: fc.boolean() })
type Start = typeof start extends fc.Arbitrary<infer Kind> ? Kind : never

/** With a slow fetcher, the plan is about to hand the fetcher's role to another participant. */
function begin({ options, isFetcherSlow }: Start): ModelSwarm {
  const swarm = new ModelSwarm(options)
  if (!isFetcherSlow) return swarm
  for (const who of ['0', '1', '2']) swarm.join(who, { best: who === '0' ? 1000 : 1e12 })
  for (let at = 0; at < 12; at += 1) swarm.runRound(1)
  return swarm
}

test('after any sequence of events there is at most one fetcher, no circle, and no instruction to a member that has left', () => {
  fc.assert(
    fc.property(start, steps, (at, all) => {
      const swarm = begin(at)
      for (const one of all) apply(swarm, one)
    }),
    runs(1500),
  )
})

test('after any sequence of events all members that are present become complete or are told to give up', () => {
  fc.assert(
    fc.property(start, steps, (at, all) => {
      const swarm = begin(at)
      for (const one of all) apply(swarm, one)
      // A last member that upstream has not failed keeps the plan from ending for all.
      swarm.join('honest')
      swarm.runUntilWhole(2000)
      assert.ok(swarm.members.get(memberId('honest'))?.isWhole || swarm.ended.size > 0)
    }),
    runs(700),
  )
})

test('one event leads to few instructions, and reports without progress lead to none', () => {
  fc.assert(
    fc.property(steps, (all) => {
      const swarm = new ModelSwarm()
      for (const one of all) {
        apply(swarm, one)
        for (const who of NAMES)
          assert.deepEqual(swarm.tell({ is: 'at', id: memberId(who), position: 0 }), [])
      }
    }),
    runs(300),
  )
  const swarm = new ModelSwarm({ size: 1000 * PIECE_BYTES })
  for (let at = 0; at < 400; at += 1) assert.ok(swarm.join(`${at}`).length <= 2)
  swarm.runRound()
  for (let at = 0; at < 400; at += 3) assert.ok(swarm.leave(`${at}`).length <= 9)
  for (let at = 0; at < 20; at += 1) swarm.runRound()
  const before = swarm.instructions.length
  for (let at = 0; at < 20; at += 1) swarm.runRound()
  assert.equal(swarm.instructions.length, before, 'there are instructions although nothing has changed')
})
