import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Progress, parseMessage, TakeAnswer } from '../../../../src/peers/wire/protocol/messages.ts'

test('the message of a refusal is stripped of control characters', () => {
  const message = { is: 'refused', code: 'absent', message: 'no\u001b[2J\r\nFAKE line\u202e, \u009bgone' }
  const answer = parseMessage(TakeAnswer, message, 'node')
  assert.deepEqual(answer, { is: 'refused', code: 'absent', message: 'no [2J FAKE line ,  gone' })
  assert.throws(() => parseMessage(Progress, message, 'node'))
})
