import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Reputation } from '../../../../src/peers/tracker/tree/reputation.ts'
import { memberId } from '../model-swarm.ts'

test('only the latest losses are remembered, however many children lose a parent', () => {
  const reputation = new Reputation()
  for (let at = 0; at < 5000; at += 1) reputation.addLoss(memberId(`${at}`), 0)
  assert.ok(reputation.size <= 64, `${reputation.size}`)
  reputation.clearLoss(memberId('4998'))
  assert.equal(reputation.isAvoidedBy(memberId('4998'), 0), false)
  assert.equal(reputation.isAvoidedBy(memberId('4999'), 0), true)
})
