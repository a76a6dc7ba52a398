import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Crowd, named, PIECE } from '../../support/crowd.ts'

/** Of a piece, in a quarter of a second: 16 KiB in a second. */
const NEXT_TO_NOTHING = 1 / 16
const PIECES = 64

/** Some who have it all and give so much each, and those who come. */
function crowdOf(gives: readonly number[], comers: number): Crowd {
  const crowd = new Crowd({ size: PIECES * PIECE, self: 'holder 0' })
  for (const [at, most] of gives.entries()) {
    crowd.join(`holder ${at}`, { whole: true })
    const holder = crowd.members.get(named(`holder ${at}`)) ?? assert.fail()
    holder.gives = most
  }
  for (let at = 0; at < comers; at += 1) crowd.join(`comer ${at}`)
  return crowd
}

test('one that has it all and gives next to nothing is left for another', () => {
  for (const gives of [
    [NEXT_TO_NOTHING, 8],
    [8, NEXT_TO_NOTHING],
    [NEXT_TO_NOTHING, NEXT_TO_NOTHING, 8, NEXT_TO_NOTHING],
  ]) {
    for (let comers = 1; comers <= gives.length; comers += 1) {
      const crowd = crowdOf(gives, comers)
      const rounds = crowd.untilWhole()
      assert.ok(rounds < 90, `${gives}, ${comers}: ${rounds}`)
      assert.equal(crowd.brought, 0)
    }
  }
})

test('where none of them gives more, and upstream does not either, that costs hardly any time', () => {
  const crowd = crowdOf([NEXT_TO_NOTHING, NEXT_TO_NOTHING], 1)
  crowd.isUpstreamDown = true
  const rounds = crowd.untilWhole()
  assert.ok(rounds < (PIECES / NEXT_TO_NOTHING) * 1.03, `${rounds}`)
  assert.ok(crowd.orders.length < 10, `${crowd.orders.length} orders`)
})

test('one that tries another which gives still less goes back', () => {
  for (const gives of [
    [0.5, NEXT_TO_NOTHING],
    [NEXT_TO_NOTHING, 0.5],
  ]) {
    const crowd = crowdOf(gives, 1)
    const rounds = crowd.untilWhole()
    assert.ok(rounds < (PIECES / 0.5) * 1.2, `${gives}: ${rounds}`)
    assert.equal(crowd.brought, 0)
  }
})

test('where it is the only one, upstream is asked, once for all', () => {
  for (const comers of [1, 5]) {
    const crowd = crowdOf([NEXT_TO_NOTHING], comers)
    const rounds = crowd.untilWhole()
    assert.ok(rounds < 90, `${comers}: ${rounds}`)
    assert.ok(crowd.brought <= crowd.size, `${crowd.brought / crowd.size}`)
  }
})

test('one that gives as much as most do is not left', () => {
  const crowd = crowdOf([4, 8], 1)
  crowd.untilWhole()
  assert.equal(crowd.orders.filter((order) => order.do === 'take').length, 1)
})
