import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Collected } from '../../src/schemas/upkeep-report.ts'
import { collectHosted } from '../../src/upkeep/hosted-garbage.ts'
import { all } from '../store/folder.ts'

const signal = new AbortController().signal

test('the last line counts what the others name', async () => {
  const found: Collected[] = [
    { is: 'tag', repository: 'localhost/team/app', tag: 'pr-1', digest: 'sha256:1', why: 'x' },
    {
      is: 'unlinked',
      repository: 'localhost/team/app',
      digest: 'sha256:1',
      kind: 'manifest',
      size: 5,
      why: 'x',
    },
    { is: 'freed', digest: 'sha256:1', kind: 'manifest', size: 5, why: 'x' },
    { is: 'freed', digest: 'sha256:2', kind: 'blob', size: 7, why: 'x' },
    { is: 'skipped', repository: 'localhost/team/other', why: 'x' },
  ]
  const garbage = {
    collect: async function* ({ isDryRun }: { isDryRun: boolean }) {
      assert.equal(isDryRun, true)
      yield* found
    },
  }
  assert.deepEqual(await all(collectHosted(garbage, { isDryRun: true, signal })), [
    { is: 'progress', tags: 0, links: 0, blobs: 0, bytes: 0 },
    ...found,
    { is: 'done', tags: 1, links: 1, blobs: 2, bytes: 12 },
  ])
})
