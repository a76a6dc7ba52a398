import assert from 'node:assert/strict'
import { test } from 'node:test'
import { objectStoreReadsText, objectStoreUploadsText } from '../../src/observe/object-store-text.ts'
import type { ObjectStoreReport } from '../../src/schemas/object-store-report.ts'

const NEW: ObjectStoreReport = {
  name: 's3://images',
  paused: null,
  lastError: null,
  reads: { hit: 0, miss: 0, failed: 0 },
  answerMs: null,
  uploads: { waiting: 0, dropped: 0, sent: 0, there: 0, sentBytes: 0, problem: null },
}

test('the share of contents that the object store had is said with failures and the time to the first byte', () => {
  assert.equal(objectStoreReadsText(NEW), 'not asked for a content yet')
  const reads = { hit: 5, miss: 1, failed: 1 }
  assert.equal(
    objectStoreReadsText({ ...NEW, reads, answerMs: 30 }),
    '5 of 7 contents found (71 %), after 30ms on average, 1 failed',
  )
  assert.equal(
    objectStoreReadsText({ ...NEW, reads: { hit: 1, miss: 0, failed: 0 } }),
    '1 of 1 content found (100 %)',
  )
})

test('uploads are said with what waits, what was there, and what was given up', () => {
  assert.equal(objectStoreUploadsText(NEW), '0 contents (0 B) sent, 0 waiting')
  const uploads = { waiting: 2, dropped: 1, sent: 1, there: 4, sentBytes: 2048, problem: null }
  assert.equal(
    objectStoreUploadsText({ ...NEW, uploads }),
    '1 content (2.0 KiB) sent, 4 there already, 2 waiting, 1 given up',
  )
})
