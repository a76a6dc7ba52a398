import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ConnectionCount } from '../../../../src/fetch/flight/ahead/connection-count.ts'

const MIB = 1024 * 1024

/** Lets bytes come every 50 ms, at a rate that depends on the number of connections. Gives the numbers in their order. */
function countsAt(connections: ConnectionCount, mibPerSecond: (count: number) => number): number[] {
  const counts = [connections.count]
  for (let now = 0; now < 20_000; now += 50) {
    const isChanged = connections.came((mibPerSecond(connections.count) * MIB) / 20, now)
    assert.equal(isChanged, counts.at(-1) !== connections.count)
    if (isChanged) counts.push(connections.count)
  }
  return counts
}

test('the number is doubled while each connection brings as much as before', () => {
  const connections = new ConnectionCount({ most: 8, isAuto: true })
  assert.deepEqual(
    countsAt(connections, (count) => count * 20),
    [1, 2, 4, 8],
  )
})

test('a number that does not make it faster is taken back, and tried once more later', () => {
  const connections = new ConnectionCount({ most: 8, isAuto: true })
  assert.deepEqual(
    countsAt(connections, (count) => Math.min(count, 2) * 20),
    [1, 2, 4, 2, 4, 2],
  )
})

test('where the link is full with one connection, there is one', () => {
  const connections = new ConnectionCount({ most: 8, isAuto: true })
  assert.deepEqual(
    countsAt(connections, () => 20),
    [1, 2, 1, 2, 1],
  )
})

test('a number that was slow for another reason is found later', () => {
  const connections = new ConnectionCount({ most: 8, isAuto: true })
  let measured = 0
  const counts = countsAt(connections, (count) => {
    measured += 1
    return measured < 60 ? 20 : count * 20
  })
  assert.deepEqual(counts, [1, 2, 1, 2, 4, 8])
})

test('a fast connection has no others beside it', () => {
  const connections = new ConnectionCount({ most: 8, isAuto: true })
  assert.deepEqual(
    countsAt(connections, (count) => count * 130),
    [1],
  )
})

test('the number does not exceed the most that there may be', () => {
  const connections = new ConnectionCount({ most: 3, isAuto: true })
  assert.deepEqual(
    countsAt(connections, (count) => count * 20),
    [1, 2, 3],
  )
})

test('a given number is used from the beginning, and stays', () => {
  const connections = new ConnectionCount({ most: 4, isAuto: false })
  assert.deepEqual(
    countsAt(connections, () => 20),
    [4],
  )
})

test('a source that wants fewer requests gets one, for good', () => {
  const connections = new ConnectionCount({ most: 8, isAuto: true })
  for (let now = 0; connections.count < 4; now += 100) connections.came(connections.count * MIB, now)
  connections.useOne()
  assert.deepEqual(
    countsAt(connections, (count) => count * 20),
    [1],
  )
  assert.equal(connections.mayBeSeveral, false)
})

test('without a number there is one connection', () => {
  const connections = new ConnectionCount()
  assert.deepEqual([connections.count, connections.mayBeSeveral], [1, false])
})
