import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, test } from 'node:test'
import { PIECE_BYTES } from '../../../../src/fetch/flight/ahead/ahead-window.ts'
import { type Events, subscribe } from '../../../../src/observe/events.ts'
import { Failure } from '../../../../src/ports/failure.ts'
import {
  type RangedRequest,
  RangedSource,
  type RangeFault,
} from '../../../../testkit/registries/ranged-source.ts'
import { pull, setUpFlights, wantOf, wrongFrom } from '../../support/flights.ts'

const MIB = 1024 * 1024
const BLOB = largeBlob(68 * MIB + 12_345)
const WANT = wantOf(BLOB)

/** Bytes that no piece has twice, made faster than random ones. */
function largeBlob(size: number): Buffer {
  const random = randomBytes(MIB)
  const bytes = Buffer.alloc(size, random)
  for (let at = 0; at + 4 <= size; at += MIB) bytes.writeUInt32BE(at / MIB, at)
  return bytes
}

function ranges({ requests }: RangedSource): RangedRequest[] {
  return requests.filter(({ kind }) => kind === 'range')
}

/** A source of several connections, of which the requests for ranges meet the faults, one each. */
function sourceWith(faults: readonly (RangeFault | undefined)[], connections = 4): RangedSource {
  let nth = 0
  return new RangedSource(BLOB, { connections, onRange: () => faults[nth++] })
}

describe('a blob over several connections', () => {
  for (const connections of [2, 8]) {
    test(`comes over ${connections}, each byte once`, async () => {
      const source = new RangedSource(BLOB, { connections })
      const { flights, store } = setUpFlights([source])
      assert.ok((await pull(flights, WANT)).equals(BLOB))
      assert.equal(source.sentBytes, BLOB.length)
      assert.deepEqual(source.requests[0], { kind: 'in order', start: 0, end: PIECE_BYTES })
      assert.equal(ranges(source).length, Math.ceil(BLOB.length / PIECE_BYTES) - 1)
      assert.ok(store.stored.has(WANT.digest))
    })
  }

  test('has no more requests under way than connections, nor further ahead than the window', async () => {
    let underWay = 0
    let most = 0
    let furthest = 0
    const source = new RangedSource(BLOB, { connections: 3 })
    const bringRange = source.bringRange.bind(source)
    source.bringRange = async (want, range, intake, options) => {
      underWay += 1
      most = Math.max(most, underWay)
      furthest = Math.max(furthest, range.end - (flights.get(WANT.digest)?.position ?? 0))
      await bringRange(want, range, intake, options)
      underWay -= 1
    }
    const { flights } = setUpFlights([source])
    assert.ok((await pull(flights, WANT)).equals(BLOB))
    assert.ok(most >= 2 && most <= 3, `${most} requests at a time`)
    assert.ok(furthest <= 6 * PIECE_BYTES, `${furthest} bytes ahead`)
  })

  test('comes by one request when it has less than 64 MiB', async () => {
    const bytes = BLOB.subarray(0, 20 * MIB)
    const source = new RangedSource(bytes, { connections: 4 })
    const { flights } = setUpFlights([source])
    assert.ok((await pull(flights, wantOf(bytes))).equals(bytes))
    assert.deepEqual(source.requests, [
      { kind: 'in order', start: 0, end: PIECE_BYTES },
      { kind: 'in order', start: PIECE_BYTES, end: undefined },
    ])
  })

  test('asks again for what is missing of a range that broke off', async () => {
    const source = sourceWith([{ diesAfter: 3 * MIB + 5 }])
    const { flights } = setUpFlights([source])
    assert.ok((await pull(flights, WANT)).equals(BLOB))
    const again = ranges(source).filter(({ end }) => end === 2 * PIECE_BYTES)
    assert.deepEqual(
      again.map(({ start }) => start),
      [PIECE_BYTES, PIECE_BYTES + 3 * MIB],
    )
    assert.equal(source.sentBytes, BLOB.length + 5)
  })

  test('asks again for what is missing of a range that stalls', async () => {
    const source = sourceWith([undefined, { stallsAfter: 2 * MIB }])
    const { flights } = setUpFlights([source], { policy: { progressTimeoutMs: 200 } })
    assert.ok((await pull(flights, WANT)).equals(BLOB))
    assert.equal(source.sentBytes, BLOB.length)
  })

  test('comes over one when three ranges in a row have broken off, each byte once', async () => {
    const broken = { failure: new Failure('unavailable', 'the connection broke') }
    const source = sourceWith([broken, broken, broken])
    const { flights } = setUpFlights([source])
    assert.ok((await pull(flights, WANT)).equals(BLOB))
    assert.equal(source.sentBytes, BLOB.length)
    const last = source.requests.at(-1)
    assert.deepEqual([last?.kind, last?.end], ['in order', undefined])
  })

  test('comes over one when a range is of another version, and what is ahead does not come again', async () => {
    const changed = { failure: new Failure('unsupported', 'another ETag') }
    const source = sourceWith([undefined, undefined, undefined, changed])
    const { flights } = setUpFlights([source])
    assert.ok((await pull(flights, WANT)).equals(BLOB))
    const afterwards = source.requests.slice(
      source.requests.findLastIndex(({ kind }) => kind === 'range') + 1,
    )
    assert.ok(afterwards.length > 0 && afterwards.every(({ kind }) => kind === 'in order'))
  })

  for (const failure of [
    new Failure('busy', 'limited', { status: 429, retryAfterMs: 1 }),
    new Failure('unavailable', 'overloaded', { status: 503 }),
  ]) {
    test(`comes over one after a ${failure.details.status}, each byte once`, async () => {
      const source = sourceWith([undefined, { failure }])
      const { flights } = setUpFlights([source])
      assert.ok((await pull(flights, WANT)).equals(BLOB))
      assert.equal(source.sentBytes, BLOB.length)
      assert.equal(ranges(source).length, 3)
    })
  }

  test('is asked for once more, over one connection, when ranges have brought other bytes', async () => {
    const source = sourceWith([undefined, { bytes: wrongFrom(BLOB, 20 * MIB) }])
    const { flights, store } = setUpFlights([source])
    const ended = new Promise<Events['flight.ended']>((resolve) => {
      const stop = subscribe('flight.ended', (event) => {
        if (event.digest !== WANT.digest) return
        stop()
        resolve(event)
      })
    })
    // The reader has got wrong bytes, of which it does not get the last ones.
    await assert.rejects(pull(flights, WANT), { code: 'corrupt' })
    const { isStored } = await ended
    assert.equal(isStored, true)
    assert.deepEqual(source.requests.at(-1), { kind: 'in order', start: 0, end: undefined })
    assert.ok(store.stored.has(WANT.digest))
  })

  test('comes in order when the disk takes no bytes ahead', async () => {
    const source = new RangedSource(BLOB, { connections: 4 })
    const { flights, store } = setUpFlights([source])
    store.takesAhead = false
    assert.ok((await pull(flights, WANT)).equals(BLOB))
    assert.equal(source.sentBytes, BLOB.length)
    assert.deepEqual(ranges(source), [])
  })

  test('counts what has come ahead and was lost', async () => {
    const source = new RangedSource(BLOB, { connections: 4, onRange: () => ({ stallsAfter: 4 * MIB }) })
    const { flights } = setUpFlights([source])
    const attempted = new Promise<Events['flight.attempted']>((resolve) => {
      const stop = subscribe('flight.attempted', (event) => {
        if (event.digest !== WANT.digest) return
        stop()
        resolve(event)
      })
    })
    const pulled = assert.rejects(pull(flights, WANT), { code: 'stopping' })
    while (source.sentBytes < PIECE_BYTES + 4 * 4 * MIB) await new Promise((resolve) => setImmediate(resolve))
    await flights.stop()
    await pulled
    assert.equal((await attempted).bytes, source.sentBytes)
  })
})
