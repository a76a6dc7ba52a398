import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  type BodyBuffers,
  BufferPool,
  maxBodies,
  type PooledBuffer,
} from '../../../src/registry-api/answer/buffer-pool.ts'
import { fc, runs } from '../../../testkit/property-runs.ts'

const MIB = 1024 * 1024

function takeAll(body: BodyBuffers, wantedBytes = 10 * MIB): PooledBuffer[] {
  const taken: PooledBuffer[] = []
  for (let buffer = body.take(wantedBytes); buffer !== undefined; buffer = body.take(wantedBytes))
    taken.push(buffer)
  return taken
}

test('a single body gets three buffers of 1 MiB', () => {
  const body = new BufferPool(16 * MIB).open()
  assert.deepEqual(
    takeAll(body).map((buffer) => buffer.bytes.length),
    [MIB, MIB, MIB],
  )
})

test('a small body gets a buffer of 64 KiB', () => {
  assert.equal(new BufferPool(16 * MIB).open().take(1000)?.bytes.length, 64 * 1024)
})

test('buffers get smaller when there are more bodies', () => {
  const pool = new BufferPool(16 * MIB)
  const bodies = Array.from({ length: 16 }, () => pool.open())
  assert.deepEqual(
    bodies.flatMap((body) => takeAll(body)).map((buffer) => buffer.bytes.length),
    new Array(48).fill(256 * 1024),
  )
})

test('every body can take a buffer, whatever the others use', () => {
  const pool = new BufferPool(2 * MIB)
  for (let i = 0; i < maxBodies(2 * MIB) - 1; i += 1) takeAll(pool.open())
  const body = pool.open()
  for (let round = 0; round < 5; round += 1) {
    const buffer = body.take(MIB)
    assert.ok(buffer !== undefined)
    buffer.release()
  }
})

test('buffers count as in use until they are released, also after their body has ended', () => {
  const pool = new BufferPool(16 * MIB)
  const body = pool.open()
  const [first, ...others] = takeAll(body)
  body.close()
  for (const buffer of others) buffer.release()
  assert.equal(pool.buffersInUse, 1)
  first?.release()
  assert.equal(pool.buffersInUse, 0)
})

test('buffers never overlap, no body uses more than three, and the total stays within the pool', () => {
  const step = fc.record({
    index: fc.nat(9),
    wantedBytes: fc.integer({ min: 1, max: 2 * MIB }),
    isRelease: fc.boolean(),
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
      const pool = new BufferPool(4 * MIB)
      const bodies = Array.from({ length: 10 }, () => pool.open())
      const taken: PooledBuffer[][] = bodies.map(() => [])
      for (const { index, wantedBytes, isRelease } of steps) {
        const own = taken[index] ?? []
        if (isRelease) own.shift()?.release()
        else {
          const buffer = bodies[index]?.take(wantedBytes)
          if (buffer !== undefined) own.push(buffer)
        }
        assert.ok(own.length <= 3)
        const all = taken.flat().map(({ bytes }) => ({
          buffer: bytes.buffer,
          from: bytes.byteOffset,
          to: bytes.byteOffset + bytes.length,
        }))
        assert.ok(all.reduce((sum, { from, to }) => sum + to - from, 0) <= 4 * MIB)
        for (const [at, a] of all.entries()) {
          for (const b of all.slice(at + 1))
            assert.ok(a.buffer !== b.buffer || a.to <= b.from || b.to <= a.from)
        }
      }
      for (const body of bodies) body.close()
      for (const buffer of taken.flat()) buffer.release()
      assert.equal(pool.buffersInUse, 0)
    }),
    runs(50),
  )
})
