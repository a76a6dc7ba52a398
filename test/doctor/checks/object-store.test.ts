import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AgentAnswer } from '../../../src/doctor/checks/agent.ts'
import { judgeObjectStore } from '../../../src/doctor/checks/object-store.ts'
import type { ObjectStoreExamination } from '../../../src/object-store/examine.ts'
import { agentStatus } from '../agent-status.ts'
import { findingLines } from '../finding-lines.ts'

const NO_AGENT: AgentAnswer = { kind: 'no-answer', why: 'connection refused' }
const FINE: ObjectStoreExamination = {
  name: 's3://images',
  credentialsFrom: 'the environment',
  readProblem: undefined,
  blob: { key: 'docker/registry/v2/blobs/sha256/aa/aa/data', size: 2048 },
  writeProblem: undefined,
  aheadMs: 0,
}

function judge(given: Partial<ObjectStoreExamination>, agent = NO_AGENT): readonly string[] {
  return findingLines(judgeObjectStore({ ...FINE, ...given }, agent))
}

test('without an object store nothing is found', () => {
  assert.deepEqual(judgeObjectStore(undefined, NO_AGENT), [])
})

test('a bucket that can be read is well, and one that is empty or public says so', () => {
  assert.deepEqual(judge({}), [
    'ok: the bucket s3://images can be read with the credentials of the environment; a blob of 2.0 KiB was found in it',
  ])
  assert.deepEqual(judge({ credentialsFrom: undefined, blob: undefined }), [
    'ok: the bucket s3://images can be read without credentials; it has no blobs yet',
  ])
})

test('a bucket that cannot be read is a problem, except without the credentials of the agent', () => {
  const denied = { code: 'denied', message: 's3://images: AccessDenied (grant s3:GetObject).' }
  assert.deepEqual(judge({ readProblem: denied }), [
    'problem: the bucket s3://images cannot be read: s3://images: AccessDenied (grant s3:GetObject)',
  ])
  const away = { code: 'unavailable', message: 's3://images: ECONNREFUSED.' }
  assert.deepEqual(judge({ readProblem: away }), [
    'problem: the bucket s3://images does not answer: s3://images: ECONNREFUSED',
  ])
  const none = {
    code: 'denied',
    message: 'There are no credentials for the object store in the environment.',
  }
  assert.deepEqual(judge({ readProblem: none }), [
    'not-checked: the bucket s3://images was not asked: There are no credentials for the object store in the environment',
  ])
})

test('a bucket that cannot be written is a warning', () => {
  const [, finding] = judge({ writeProblem: { code: 'denied', message: 's3://images: AccessDenied.' } })
  assert.equal(
    finding,
    'warning: nothing can be uploaded to the bucket s3://images: s3://images: AccessDenied',
  )
})

test('what the agent says of the bucket is found, too', () => {
  const uploads = {
    waiting: 3,
    dropped: 0,
    sent: 0,
    there: 0,
    sentBytes: 0,
    problem: 's3://images: SlowDown.',
  }
  const objectStore = { paused: 's3://images: SlowDown.', uploads }
  const agent: AgentAnswer = { kind: 'agent', status: agentStatus({ objectStore }), aheadMs: 0 }
  assert.deepEqual(judge({}, agent).slice(1), [
    'warning: the agent does not ask the bucket now: s3://images: SlowDown.',
    'warning: uploads of the agent fail: s3://images: SlowDown.',
  ])
  const well = { paused: null, uploads: { ...uploads, problem: null } }
  const other: AgentAnswer = { kind: 'agent', status: agentStatus({ objectStore: well }), aheadMs: 0 }
  assert.equal(judge({}, other).length, 1)
})
