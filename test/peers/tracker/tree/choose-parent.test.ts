import assert from 'node:assert/strict'
import { test } from 'node:test'
import { chain, ModelSwarm, memberId, PIECE_BYTES } from '../model-swarm.ts'

test('the content enters each zone once, in whatever order the members join', () => {
  for (const names of ['abcabcabc', 'aaabbbccc', 'cabbbacca']) {
    for (const isSizeKnown of [true, false]) {
      const swarm = new ModelSwarm({ isSizeKnown })
      for (const [at, zone] of [...names].entries()) swarm.join(`${at}`, { zone })
      swarm.tell({ is: 'sized', size: swarm.size })
      const zoneOf = (id: string): string | undefined => swarm.members.get(memberId(id))?.zone
      const crossing = [...swarm.members.keys()].filter((id) => {
        const parent = swarm.plan.parentOf(id)
        return parent !== undefined && zoneOf(parent) !== zoneOf(id)
      })
      assert.equal(crossing.length, 2, `${names} ${crossing}`)
    }
  }
})

test('a seeder without children is preferred to one with a slow child', () => {
  const swarm = chain(3, { size: 400 * PIECE_BYTES })
  swarm.runUntilWhole()
  swarm.join('slow')
  swarm.member('slow').takes = 1
  for (let at = 0; at < 12; at += 1) swarm.runRound()
  for (const name of ['3', '4']) swarm.join(name)
  assert.equal(new Set(swarm.parentsOf('slow', '3', '4')).size, 3)
})
