import assert from 'node:assert/strict'
import { constants } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { it } from 'node:test'
import { OpenFile } from '../../../src/store/files/open-file.ts'
import { folder } from '../folder.ts'

it('close waits for reads that are under way', async (t) => {
  const path = join(await folder(t), 'file')
  await writeFile(path, Buffer.alloc(16 * 1024 * 1024, 7))
  for (let round = 0; round < 5; round++) {
    const file = await OpenFile.open(path, constants.O_RDONLY)
    let reading = 4
    const reads = Array.from({ length: 4 }, async (_, n) => {
      const target = Buffer.alloc(n === 0 ? 1 : 16 * 1024 * 1024)
      assert.equal(await file.read(target, 0), target.length)
      assert.equal(target.at(-1), 7)
      reading -= 1
    })
    const closed = file.close().then(() => assert.equal(reading, 0))
    await Promise.all([...reads, closed, file.close()])
    await assert.rejects(file.read(Buffer.alloc(1), 0), /closed/)
  }
})
