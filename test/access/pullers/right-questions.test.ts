import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { type Right, RightQuestions } from '../../../src/access/pullers/right-questions.ts'
import { unlessAborted } from '../../../src/lib/async/abort.ts'
import { Deferred } from '../../../src/lib/async/deferred.ts'

const APP = { registry: 'corp.test', name: 'app' }
const NEVER = new AbortController().signal

function question(key: string, address = '127.0.0.1') {
  const content = { kind: 'tags' } as const
  return { repository: APP, content, key, login: undefined, address, signal: NEVER }
}

test('the same question is asked once at a time, and eight are asked at once', async () => {
  const answer = new Deferred<void>()
  let asked = 0
  const questions = new RightQuestions({
    async confirm() {
      asked += 1
      await answer.promise
    },
  })
  const same = [questions.find(question('same')), questions.find(question('same'))]
  const more: Promise<Right>[] = []
  for (let n = 1; n < 64; n += 1) more.push(questions.find(question(`${n}`)))
  await turn()
  assert.equal(asked, 8)
  answer.resolve()
  assert.deepEqual(new Set(await Promise.all([...same, ...more])), new Set(['confirmed']))
  assert.equal(asked, 64)
})

test('who asks what another one asks already waits until its own deadline', async () => {
  const answer = new Deferred<void>()
  let asked = 0
  const questions = new RightQuestions({
    async confirm(_repository, _content, _login, { signal }) {
      asked += 1
      await unlessAborted(answer.promise, signal)
    },
  })
  const first = new AbortController()
  const early = questions.find({ ...question('same'), signal: first.signal })
  const late = questions.find(question('same'))
  await turn()
  first.abort()
  assert.equal(await early, 'not-asked')
  answer.resolve()
  assert.equal(await late, 'confirmed')
  assert.equal(await questions.find({ ...question('other'), signal: first.signal }), 'not-asked')
  assert.equal(asked, 1)
})

test('one address has a quarter of the questions that wait, and of too many none is asked', async () => {
  const answer = new Deferred<void>()
  const questions = new RightQuestions({ confirm: () => answer.promise })
  const pending: Promise<Right>[] = []
  for (let host = 1; host <= 4; host += 1) {
    const address = `192.0.2.${host}`
    for (let n = 0; n < 64; n += 1) pending.push(questions.find(question(`${host} ${n}`, address)))
    assert.equal(await questions.find(question(`${host} more`, address)), 'not-asked')
  }
  assert.equal(await questions.find(question('more', '192.0.2.5')), 'not-asked')
  answer.resolve()
  assert.deepEqual(new Set(await Promise.all(pending)), new Set(['confirmed']))
  assert.equal(await questions.find(question('more', '192.0.2.5')), 'confirmed')
})

test('the questions to a registry that hangs keep none from another registry', async () => {
  const answer = new Deferred<void>()
  const questions = new RightQuestions({
    confirm: ({ registry }) => (registry === APP.registry ? answer.promise : Promise.resolve()),
  })
  const pending: Promise<Right>[] = []
  for (let n = 0; n < 64; n += 1) pending.push(questions.find(question(`${n}`)))
  const other = { ...question('other'), repository: { ...APP, registry: 'other.test' } }
  assert.equal(await questions.find(other), 'confirmed')
  answer.resolve()
  await Promise.all(pending)
})

test('an error that is no answer of the registry leaves the right unknown, and is not remembered', async () => {
  let asked = 0
  const questions = new RightQuestions({
    async confirm() {
      asked += 1
      throw new Error('broken')
    },
  })
  for (let n = 1; n <= 2; n += 1) {
    assert.equal(await questions.find(question('a')), 'unknown')
    assert.equal(asked, n)
  }
})
