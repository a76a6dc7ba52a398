import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, open, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { FileHasher } from '../../../src/lib/hashing/file-hasher.ts'

async function openTemporary(t: TestContext, bytes: Uint8Array) {
  const folder = await mkdtemp(join(tmpdir(), 'leat-hash-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  await writeFile(join(folder, 'file'), bytes)
  const file = await open(join(folder, 'file'))
  t.after(() => file.close())
  return file
}

test('a range of a file is hashed in pieces, and the next content starts anew', async (t) => {
  const bytes = randomBytes(3_000_000)
  const { fd } = await openTemporary(t, bytes)
  const hasher = new FileHasher()
  t.after(() => hasher.stop())
  const hash = (position: number, length: number, isFirst: boolean, isLast: boolean) =>
    hasher.hash({ fd, algorithm: 'sha256', position, length, isFirst, isLast })
  for (const start of [0, 1000]) {
    assert.deepEqual(await hash(start, 1_500_000, true, false), { is: 'read' })
    const hex = createHash('sha256')
      .update(bytes.subarray(start, start + 1_600_000))
      .digest('hex')
    assert.deepEqual(await hash(start + 1_500_000, 100_000, false, true), { is: 'digest', hex })
  }
  assert.deepEqual(await hash(2_000_000, 2_000_000, true, true), { is: 'short', size: 3_000_000 })
})

test('the thread ends when it is idle, and starts again when it is needed', async (t) => {
  const { fd } = await openTemporary(t, Buffer.from('x'))
  const hasher = new FileHasher({ idleMs: 1 })
  t.after(() => hasher.stop())
  for (let round = 0; round < 2; round++) {
    const answer = await hasher.hash({
      fd,
      algorithm: 'sha512',
      position: 0,
      length: 1,
      isFirst: true,
      isLast: true,
    })
    assert.equal(answer.is, 'digest')
    while (hasher.isRunning) await new Promise((resolve) => setTimeout(resolve, 1))
  }
})
