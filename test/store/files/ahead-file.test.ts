import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { AHEAD_UNIT_BYTES } from '../../../src/ports/blob-store.ts'
import { AheadFile } from '../../../src/store/files/ahead-file.ts'
import { OpenFile } from '../../../src/store/files/open-file.ts'
import { folder } from '../folder.ts'

const UNIT = AHEAD_UNIT_BYTES
const MIB = 1024 * 1024

async function open(t: TestContext): Promise<{ ahead: AheadFile; file: OpenFile }> {
  const path = join(await folder(t), 'ahead')
  const file = await OpenFile.open(path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL)
  const ahead = new AheadFile(file)
  t.after(() => ahead.close())
  return { ahead, file }
}

async function readAll(ahead: AheadFile, start: number, end: number): Promise<Buffer> {
  const target = Buffer.alloc(end - start)
  for (let at = start; at < end; ) {
    const count = await ahead.read(target.subarray(at - start), at)
    assert.ok(count > 0, `byte ${at} is not there`)
    at += count
  }
  return target
}

test('bytes are read back from where they were written, over several slots, and nothing else is there', async (t) => {
  const { ahead } = await open(t)
  const bytes = randomBytes(3 * MIB)
  const start = 700 * MIB + 3 * UNIT
  await ahead.write(bytes, start)
  assert.equal(ahead.endFrom(start), start + bytes.length)
  assert.equal(ahead.endFrom(start + 5), start + bytes.length)
  assert.equal(ahead.endFrom(start - 1), start - 1)
  assert.equal(await ahead.read(Buffer.alloc(10), start - 1), 0)
  assert.deepEqual(await readAll(ahead, start + 17, start + bytes.length), bytes.subarray(17))
})

test('the end of a content need not be the end of a unit', async (t) => {
  const { ahead } = await open(t)
  const bytes = randomBytes(UNIT + 100)
  await ahead.write(bytes, 5 * UNIT)
  assert.ok(ahead.endFrom(5 * UNIT) >= 6 * UNIT + 100)
  assert.deepEqual(await readAll(ahead, 5 * UNIT, 6 * UNIT + 100), bytes)
})

test('bytes that do not begin with a unit are refused, because their unit would not be whole', async (t) => {
  const { ahead } = await open(t)
  await assert.rejects(ahead.write(randomBytes(UNIT), 5 * UNIT + 1), { code: 'disk' })
  assert.equal(ahead.endFrom(5 * UNIT), 5 * UNIT)
})

test('a gap between two writes ends what can be read at once', async (t) => {
  const { ahead } = await open(t)
  await ahead.write(randomBytes(UNIT), 0)
  await ahead.write(randomBytes(UNIT), 2 * UNIT)
  assert.equal(ahead.endFrom(0), UNIT)
  await ahead.write(randomBytes(UNIT), UNIT)
  assert.equal(ahead.endFrom(0), 3 * UNIT)
})

test('room of the file is used again for other ranges once a range is discarded', async (t) => {
  const { ahead, file } = await open(t)
  const free = ahead.freeBytes
  for (let round = 0; round < 5; round++) {
    const bytes = randomBytes(2 * MIB)
    await ahead.write(bytes, round * 10 * MIB)
    assert.deepEqual(await readAll(ahead, round * 10 * MIB, round * 10 * MIB + 2 * MIB), bytes)
    assert.equal(ahead.freeBytes, free - 2 * MIB)
    ahead.discardBefore(round * 10 * MIB + 2 * MIB)
    assert.equal(ahead.freeBytes, free)
    assert.equal(await ahead.read(Buffer.alloc(1), round * 10 * MIB), 0)
  }
  assert.equal((await file.stat()).size, 2 * MIB)
  assert.equal(ahead.usedBytes, 2 * MIB)
})

test('a range is discarded only when all of its slot is before the position', async (t) => {
  const { ahead } = await open(t)
  await ahead.write(randomBytes(MIB), 0)
  ahead.discardBefore(MIB - 1)
  assert.equal(ahead.endFrom(0), MIB)
})

test('a read that ends after its range was discarded gives nothing, whatever the file holds by then', async (t) => {
  const { ahead } = await open(t)
  await ahead.write(randomBytes(MIB), 0)
  const reading = ahead.read(Buffer.alloc(100), 0)
  ahead.discardBefore(MIB)
  assert.equal(await reading, 0)
})

test('more than the limit is refused', async (t) => {
  const { ahead } = await open(t)
  const one = randomBytes(UNIT)
  for (let slot = 0; ahead.freeBytes > 0; slot++) await ahead.write(one, slot * MIB)
  await assert.rejects(ahead.write(one, 10_000 * MIB), { code: 'disk' })
  await ahead.write(one, UNIT)
})

test('after it was closed nothing is read or written', async (t) => {
  const { ahead } = await open(t)
  await ahead.write(randomBytes(UNIT), 0)
  await ahead.close()
  assert.equal(await ahead.read(Buffer.alloc(1), 0), 0)
  await assert.rejects(ahead.write(randomBytes(UNIT), 0), { code: 'disk' })
})
