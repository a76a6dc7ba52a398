import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { it } from 'node:test'
import { Layout } from '../../../src/store/files/layout.ts'
import { digestOf } from '../../../testkit/memory/digests.ts'
import { feed, wanted } from '../../conformance/blob-steps.ts'
import { folder, opened, openStore } from '../folder.ts'

it('the quarantine never exceeds its share of the limit', async (t) => {
  const path = await folder(t)
  await (await openStore({ path })).close()
  const { quarantine } = new Layout(path)
  for (const [at, text] of ['a', 'b', 'c'].entries()) {
    const digest = digestOf(Buffer.from(text)).replace(':', '-')
    await writeFile(join(quarantine, `${digest}-${at}`), randomBytes(400))
  }
  await mkdir(join(quarantine, 'index-3'))
  await writeFile(join(quarantine, 'index-3', 'CURRENT'), randomBytes(300))
  await opened(t, { path, maxBytes: { bytes: 15_000 } })
  const left = await readdir(quarantine)
  assert.deepEqual(left.map((name) => name.slice(-2)).sort(), ['-2', '-3'])
})

it('the files of a digest are found with their time and size, newest first', async (t) => {
  const path = await folder(t)
  const store = await opened(t, { path })
  const [digest, other] = [digestOf(Buffer.from('a')), digestOf(Buffer.from('b'))]
  assert.deepEqual(await store.quarantined(digest), [])
  const { quarantine } = new Layout(path)
  const nameOf = (of: string, at: number): string => `${of.replace(':', '-')}-${at}`
  await writeFile(join(quarantine, nameOf(digest, 5)), randomBytes(10))
  await writeFile(join(quarantine, nameOf(digest, 12)), randomBytes(20))
  await writeFile(join(quarantine, nameOf(other, 9)), randomBytes(30))
  await writeFile(join(quarantine, `${nameOf(digest, 1)}.copy`), randomBytes(40))
  assert.deepEqual(
    (await store.quarantined(digest)).map((file) => [file.at, file.bytes, file.path]),
    [
      [12, 20, join(quarantine, nameOf(digest, 12))],
      [5, 10, join(quarantine, nameOf(digest, 5))],
    ],
  )
})

it('wrong bytes go to the quarantine, which keeps only the latest few', async (t) => {
  const path = await folder(t)
  const store = await opened(t, { path })
  const incoming = await store.blobs.begin(wanted(digestOf(Buffer.from('x'))))
  for (let n = 0; n < 12; n++) {
    await feed(incoming, randomBytes(n % 2 === 0 ? 100 : 100_000))
    await incoming.restart()
  }
  await incoming.close()
  const names = await readdir(new Layout(path).quarantine)
  assert.ok(names.length > 0 && names.length <= 8, `${names.length}`)
})
