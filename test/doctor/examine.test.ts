import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { type Check, examine } from '../../src/doctor/examine.ts'
import { ok } from '../../src/doctor/tools/finding.ts'

test('all are looked at at once, and told in their order', async () => {
  const order: string[] = []
  let release = (): void => {}
  const second = new Promise<void>((resolve) => {
    release = resolve
  })
  const checks: Check[] = [
    {
      name: 'first',
      look: async () => {
        await second
        order.push('first')
        return [ok('one'), ok('two')]
      },
    },
    {
      name: 'second',
      look: async () => {
        order.push('second')
        release()
        return [ok('three')]
      },
    },
  ]
  const found = await examine(checks, { deadlineMs: 600_000 })
  assert.deepEqual(order, ['second', 'first'])
  assert.deepEqual(
    found.map(({ check, found }) => [check, found]),
    [
      ['first', 'one'],
      ['first', 'two'],
      ['second', 'three'],
    ],
  )
})

test('one that hangs is left and one that breaks is told, and the others are told too', async () => {
  let left: Promise<unknown> | undefined
  const checks: Check[] = [
    {
      name: 'hangs',
      look: ({ signal }) => {
        left = once(signal, 'abort')
        return new Promise(() => {})
      },
    },
    { name: 'breaks', look: () => Promise.reject(new Error('no such thing')) },
    { name: 'works', look: async () => [ok('fine')] },
  ]
  const found = await examine(checks, { deadlineMs: 50 })
  await left
  assert.deepEqual(found, [
    {
      check: 'hangs',
      state: 'not-looked-at',
      found: 'this took longer than 0.05 s',
      means: null,
      todo: null,
    },
    { check: 'breaks', state: 'not-looked-at', found: 'no such thing', means: null, todo: null },
    { check: 'works', state: 'ok', found: 'fine', means: null, todo: null },
  ])
})
