import assert from 'node:assert/strict'
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { ReloadedFile } from '../../src/lib/reloaded-file.ts'
import { addCleanup } from '../../testkit/cleanup.ts'

function parse(bytes: Buffer): string {
  if (bytes.toString() === 'bad') throw new Error('the file is bad; write a good one')
  return bytes.toString()
}

async function fileOf(t: TestContext, text: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'leat-reloaded-'))
  addCleanup(t, () => rm(folder, { recursive: true }))
  await writeFile(join(folder, 'file'), text)
  return join(folder, 'file')
}

test('a file is read again when it has changed, also when another one takes its place', async (t) => {
  const path = await fileOf(t, 'one')
  const file = await ReloadedFile.open(path, parse, { checkMs: 0, onProblem: assert.fail })
  assert.equal(await file.read(), 'one')
  await writeFile(path, 'two')
  assert.equal(await file.read(), 'two')
  await writeFile(`${path}.new`, 'six')
  await rename(`${path}.new`, path)
  assert.equal(await file.read(), 'six')
})

test('a change that cannot be used is told once, and the last good value stays', async (t) => {
  const path = await fileOf(t, 'good')
  const problems: string[] = []
  const file = await ReloadedFile.open(path, parse, { checkMs: 0, onProblem: (one) => problems.push(one) })
  await writeFile(path, 'bad')
  assert.deepEqual([await file.read(), await file.read()], ['good', 'good'])
  assert.deepEqual(problems, [
    'the file is bad; write a good one; until then the last good version of the file is used',
  ])
  await rm(path)
  assert.deepEqual([await file.read(), await file.read()], ['good', 'good'])
  assert.equal(problems.length, 2)
  assert.match(problems[1] ?? '', /cannot be read \(ENOENT\)/)
  await writeFile(path, 'better')
  assert.equal(await file.read(), 'better')
})

test('a file that cannot be used at the start is refused', async (t) => {
  const path = await fileOf(t, 'bad')
  const options = { onProblem: assert.fail }
  await assert.rejects(ReloadedFile.open(path, parse, options), /the file is bad/)
  await assert.rejects(ReloadedFile.open(`${path}.none`, parse, options), /cannot be read \(ENOENT\)/)
  await writeFile(path, 'x'.repeat(1024 * 1024 + 1))
  await assert.rejects(ReloadedFile.open(path, parse, options), /is larger than 1048576 bytes/)
})

test('between two looks at the file its value is that of the last look', async (t) => {
  const path = await fileOf(t, 'one')
  const file = await ReloadedFile.open(path, parse, { checkMs: 3_600_000, onProblem: assert.fail })
  await writeFile(path, 'two')
  assert.equal(await file.read(), 'one')
})

test('readers at the same time share one look at the file', async (t) => {
  const path = await fileOf(t, 'one')
  let parsed = 0
  const count = (bytes: Buffer): string => {
    parsed += 1
    return parse(bytes)
  }
  const file = await ReloadedFile.open(path, count, { checkMs: 0, onProblem: assert.fail })
  await writeFile(path, 'two')
  assert.deepEqual(await Promise.all([file.read(), file.read(), file.read()]), ['two', 'two', 'two'])
  assert.equal(parsed, 2)
})
