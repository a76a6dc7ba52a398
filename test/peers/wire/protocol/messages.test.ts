import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HasAnswer, Progress, parseMessage } from '../../../../src/peers/wire/protocol/messages.ts'

test('control characters are removed from the text of a refused message', () => {
  const message = { is: 'refused', code: 'absent', message: 'no\u001b[2J\r\nFAKE line\u202e, \u009bgone' }
  const answer = parseMessage(HasAnswer, message, 'node')
  assert.deepEqual(answer, { is: 'refused', code: 'absent', message: 'no [2J FAKE line ,  gone' })
  assert.throws(() => parseMessage(Progress, message, 'node'))
})
