import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readdir, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { it } from 'node:test'
import { Layout, partialName } from '../../../src/store/files/layout.ts'
import { digestOf } from '../../../testkit/memory/digests.ts'
import { folder, opened } from '../folder.ts'
import { filled, leavePartial } from '../left-files.ts'

it('partials that are old, stored already, empty, invalid or of an unknown digest are removed; unknown files stay', async (t) => {
  const path = await folder(t)
  const done = randomBytes(100_000)
  await filled(path, done)
  const { partial } = new Layout(path)
  const old = await leavePartial(path, digestOf(Buffer.from('old')), randomBytes(10))
  await utimes(join(old, 'data'), new Date(), new Date(Date.now() - 25 * 60 * 60 * 1000))
  await leavePartial(path, digestOf(done), done.subarray(0, 70_000))
  await leavePartial(path, digestOf(Buffer.from('empty')), Buffer.alloc(0))
  const senseless = await leavePartial(path, digestOf(Buffer.from('senseless')), randomBytes(10))
  await writeFile(join(senseless, 'state'), '{"version":9}')
  const provisional = await leavePartial(path, digestOf(Buffer.from('provisional')), randomBytes(10))
  await writeFile(
    join(provisional, 'state'),
    '{"version":1,"kind":"blob","registry":"up.test","name":"app","isProvisional":true}',
  )
  const young = digestOf(Buffer.from('young'))
  await leavePartial(path, young, randomBytes(10))
  await writeFile(join(partial, `${partialName(young)}.draft`), 'half a manif')
  await writeFile(join(partial, 'notes.txt'), 'mine')
  await writeFile(join(partial, `${partialName(young)}.unnamed`), 'bytes ahead')
  await opened(t, { path })
  assert.deepEqual((await readdir(partial)).sort(), ['notes.txt', partialName(young)])
})
