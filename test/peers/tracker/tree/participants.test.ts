import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Participants } from '../../../../src/peers/tracker/tree/participants.ts'
import { memberId } from '../model-swarm.ts'

test('the reputations of the last 256 participants that left are remembered, if anything was said against them', () => {
  const participants = new Participants({ digest: 'sha256:1', now: () => 0 })
  const joinAndLeave = (name: string, isBlamed: boolean): void => {
    const participant = participants.add(memberId(name), 0)
    if (isBlamed) participant.reputation.addBlame(memberId('witness'), true)
    participants.remove(participant)
  }
  const isBanned = (name: string): boolean => participants.add(memberId(name), 0).reputation.isBanned
  joinAndLeave('first', true)
  for (let at = 0; at < 5000; at += 1) joinAndLeave(`honest ${at}`, false)
  assert.equal(isBanned('first'), true)
  assert.equal(participants.rememberedReputations, 0)
  for (let at = 0; at < 5000; at += 1) joinAndLeave(`liar ${at}`, true)
  assert.ok(participants.rememberedReputations <= 256, `${participants.rememberedReputations}`)
  assert.equal(isBanned('liar 4999'), true)
})
