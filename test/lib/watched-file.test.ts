import assert from 'node:assert/strict'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { FileProblem, WatchedFile } from '../../src/lib/watched-file.ts'
import { folder } from '../store/folder.ts'

function parse(text: string): number {
  if (!/^\d+$/.test(text)) throw new FileProblem('the file', 'it is no number')
  return Number(text)
}

test('a file is read again when it has changed, and only then', async (t) => {
  const path = join(await folder(t), 'file')
  let parsed = 0
  const file = new WatchedFile(path, {
    parse: (text) => {
      parsed += 1
      return parse(text)
    },
  })
  await writeFile(path, '1')
  assert.deepEqual([await file.read(), await file.read(), parsed], [1, 1, 1])
  await writeFile(path, '22')
  assert.deepEqual([await file.read(), parsed], [22, 2])
})

test('a file that was never good is a problem, whenever it is read', async (t) => {
  const path = join(await folder(t), 'file')
  const told: unknown[] = []
  const file = new WatchedFile(path, { parse, onProblem: (problem) => told.push(problem) })
  await assert.rejects(file.read(), { code: 'ENOENT', file: path, message: `${path} cannot be read: ENOENT` })
  await writeFile(path, 'secret')
  await assert.rejects(file.read(), new FileProblem('the file', 'it is no number'))
  await writeFile(path, '1'.repeat(1024 * 1024 + 1))
  await assert.rejects(file.read(), /is longer than 1048576 bytes$/)
  await writeFile(path, '7')
  assert.equal(await file.read(), 7)
  assert.deepEqual(told, [])
})

test('the last good content is used while the file is bad, which is told once, and so is its end', async (t) => {
  const path = join(await folder(t), 'file')
  const told: (string | undefined)[] = []
  const file = new WatchedFile(path, { parse, onProblem: (problem) => told.push(problem?.message) })
  await writeFile(path, '1')
  await file.read()
  await writeFile(path, 'bad')
  assert.deepEqual([await file.read(), await file.read()], [1, 1])
  await rm(path)
  assert.equal(await file.read(), 1)
  await writeFile(path, '22')
  assert.equal(await file.read(), 22)
  assert.deepEqual(told, ['it is no number', `${path} cannot be read: ENOENT`, undefined])
})

test('with a time between looks, readers meanwhile get the value of the last look', async (t) => {
  const path = join(await folder(t), 'file')
  await writeFile(path, '1')
  let parsed = 0
  const count = (text: string): number => {
    parsed += 1
    return parse(text)
  }
  const file = new WatchedFile(path, { parse: count, checkMs: 3_600_000 })
  assert.deepEqual(await Promise.all([file.read(), file.read()]), [1, 1])
  assert.equal(parsed, 1)
  await writeFile(path, '22')
  assert.equal(await file.read(), 1)
})
