import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { readResult } from '../../../bench/results/result-file.ts'
import { folder } from '../../store/folder.ts'
import { sampleCheck, sampleResult, sampleRow } from './sample-result.ts'

test('a result is read as it was written, and anything else is refused in a sentence', async (t) => {
  const path = join(await folder(t), 'result.json')
  const result = sampleResult([sampleRow([sampleCheck([1], { atMost: 2 })])])
  await writeFile(path, JSON.stringify(result))
  assert.deepEqual(readResult(path), result)
  await writeFile(path, JSON.stringify({ ...result, rows: [{ group: 'hits' }] }))
  assert.throws(() => readResult(path), /is no result of the bench: rows\.0\.name/)
  await writeFile(path, 'x')
  assert.throws(() => readResult(path), /is no JSON: give a file that npm run bench -- --json has written/)
  assert.throws(() => readResult(`${path}.no`), /^Error: cannot read /)
})
