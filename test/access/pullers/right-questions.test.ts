import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Right, RightQuestions } from '../../../src/access/pullers/right-questions.ts'
import { Deferred } from '../../../src/lib/async/deferred.ts'

const APP = { registry: 'corp.test', name: 'app' }

function question(key: string) {
  const content = { kind: 'tags' } as const
  return { repository: APP, content, key, login: undefined, address: '127.0.0.1' }
}

test('the same question is asked once at a time, eight are asked at once, and of too many the answer is unknown', async () => {
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
  assert.equal(await questions.find(question('one more')), 'unknown')
  assert.equal(asked, 8)
  answer.resolve()
  assert.deepEqual(new Set(await Promise.all([...same, ...more])), new Set(['confirmed']))
  assert.equal(asked, 64)
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
