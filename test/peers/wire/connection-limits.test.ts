import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Crowd, type CrowdLimits } from '../../../src/peers/wire/connection-limits.ts'

const LIMITS: CrowdLimits = {
  maxConnections: 1000,
  maxPerAddress: 1000,
  maxUnknown: 1000,
  maxUnknownPerAddress: 1000,
  maxStrangers: 3,
  strangerMs: 1000,
}

function crowd(limits: Partial<CrowdLimits>, now = () => 0): Crowd {
  return new Crowd({ ...LIMITS, ...limits }, now)
}

test('no more come in than there is room for, and whoever leaves makes room', () => {
  const door = crowd({ maxConnections: 2 })
  const first = door.enter('10.0.0.1')
  first?.known()
  assert.ok(door.enter('10.0.0.2'))
  assert.equal(door.enter('10.0.0.3'), undefined)
  first?.leave()
  assert.ok(door.enter('10.0.0.3'))
})

test('one address cannot take the room of all', () => {
  const door = crowd({ maxPerAddress: 2 })
  door.enter('10.0.0.1')?.known()
  door.enter('::ffff:10.0.0.1')?.known()
  assert.equal(door.enter('10.0.0.1'), undefined)
  assert.ok(door.enter('10.0.0.2'))
})

test('one with an IPv6 network is one address', () => {
  const door = crowd({ maxPerAddress: 1 })
  assert.ok(door.enter('fd00:1:2:3::1'))
  assert.equal(door.enter('fd00:1:2:3:ffff:2:3:4'), undefined)
  assert.equal(door.enter('fd00:1:2:3:5::'), undefined)
  assert.ok(door.enter('fd00:1:2:4::1'))
  assert.ok(door.enter('::1'))
  assert.equal(door.enter('::2'), undefined)
})

test('those who have not shown who they are have little room', () => {
  const door = crowd({ maxUnknownPerAddress: 1 })
  const first = door.enter('10.0.0.1')
  assert.equal(door.enter('10.0.0.1'), undefined)
  assert.ok(door.enter('10.0.0.2'))
  first?.known()
  assert.ok(door.enter('10.0.0.1'))
})

test('when the room for the unknown is taken, those who crowd it most make way, the one who came first first', () => {
  const door = crowd({ maxUnknown: 4 })
  const dismissed: string[] = []
  const enter = (from: string, name: string) => door.enter(from, () => dismissed.push(name))
  const early = enter('10.0.0.1', 'early')
  for (const name of ['a', 'b', 'c']) enter('10.0.0.2', name)
  assert.ok(enter('10.0.0.3', 'new'))
  assert.deepEqual(dismissed, ['a'])
  assert.equal(enter('10.0.0.2', 'd'), undefined)
  assert.ok(enter('10.0.0.4', 'newer'))
  assert.deepEqual(dismissed, ['a', 'b'])
  // Where all are even, it is whoever has waited longest.
  assert.ok(enter('10.0.0.5', 'newest'))
  assert.deepEqual(dismissed, ['a', 'b', 'early'])
  early?.leave()
  assert.equal(enter('10.0.0.2', 'e'), undefined)
})

test('at an address of members strangers are put up with for longer, but not for ever', () => {
  const door = crowd({})
  door.enter('10.0.0.1')?.known()
  let strangers = 0
  for (;;) {
    const guest = door.enter('10.0.0.1')
    if (guest === undefined) break
    guest.leave()
    strangers += 1
  }
  assert.equal(strangers, 24)
})

test('an address that only brings strangers is not listened to for a while', () => {
  let now = 0
  const door = crowd({}, () => now)
  for (let n = 0; n < 3; n += 1) door.enter('10.0.0.1')?.leave()
  assert.equal(door.enter('10.0.0.1'), undefined)
  const other = door.enter('10.0.0.2')
  assert.ok(other)
  now = 1000
  assert.ok(door.enter('10.0.0.1'))
})

test('who has shown who it is is no stranger when it leaves', () => {
  const door = crowd({})
  for (let n = 0; n < 100; n += 1) {
    const guest = door.enter('10.0.0.1')
    guest?.known()
    guest?.leave()
  }
  assert.ok(door.enter('10.0.0.1'))
})
